#!/bin/bash
# One training on all GPUs of several nodes, by JAX.
#
#     sbatch --account=ACCOUNT slurm/train_hosts.sh brain.t1_mni --store STORE --splits SPLITS --out MODEL --batch-size 64
#
# What follows the script is given to `regreveal train`; the batch must divide by nodes times GPUs. Options before it
# (--nodes, --gpus-per-node, --time, --partition) replace those below; nodes must have as many GPUs each. A job that
# ran out of time, or lost a node, is submitted again as it was: the training goes on after its last whole epoch.
#SBATCH --job-name=train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=256G
#SBATCH --time=24:00:00
set -euo pipefail
if [[ -n ${REGREVEAL_ACTIVATE:-} ]]; then
    source "$REGREVEAL_ACTIVATE" # such as /shared/regreveal/bin/activate
fi
export KERAS_BACKEND=jax
# A port of the job's number, since another job may train on the same node.
KERAS_DISTRIBUTION_JOB_ADDRESSES=$(hostname -s):${TRAINING_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))}
export KERAS_DISTRIBUTION_JOB_ADDRESSES
export KERAS_DISTRIBUTION_NUM_PROCESSES=$SLURM_NNODES

# A process a node, each told which it is. If one ends, the others do.
srun --kill-on-bad-exit=1 bash -c \
    'export KERAS_DISTRIBUTION_PROCESS_ID=$SLURM_PROCID; exec regreveal train "$@" --devices all --precision mixed_bfloat16' \
    train "$@"
