#!/bin/bash
# One training on all GPUs of one node.
#
#     sbatch --account=ACCOUNT slurm/train.sh brain.t1_mni --store STORE --splits SPLITS --out MODEL --batch-size 32
#
# What follows the script is given to `regreveal train`. Options before it (--gpus-per-node, --time, --partition)
# replace those below. A job that ran out of time is submitted again as it was: the training goes on.
#SBATCH --job-name=train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=256G
#SBATCH --time=24:00:00
set -euo pipefail
if [[ -n ${REGREVEAL_ACTIVATE:-} ]]; then
    source "$REGREVEAL_ACTIVATE" # such as /shared/regreveal/bin/activate
fi
regreveal train "$@" --devices all --precision mixed_bfloat16
