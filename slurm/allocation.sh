#!/bin/bash
# One job of several nodes: a Dask scheduler, its workers, and the run that uses them.
#
#     sbatch --account=ACCOUNT slurm/allocation.sh experiment.toml --out RUN
#
# What follows the script is given to `regreveal run`. Options before it (--nodes, --time, --partition) replace those
# below. A job that ran out of time is submitted again as it was: the run goes on.
#SBATCH --job-name=regreveal
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=128G
#SBATCH --time=24:00:00
set -euo pipefail
if [[ -n ${REGREVEAL_ACTIVATE:-} ]]; then
    source "$REGREVEAL_ACTIVATE" # such as /shared/regreveal/bin/activate
fi

# A worker for each core: TensorFlow would take all cores in every one.
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

address=tcp://$(hostname -s):${DASK_PORT:-8786}
dask scheduler --port "${DASK_PORT:-8786}" --no-dashboard &
scheduler=$!
srun --cpu-bind=none dask worker "$address" --nworkers "${SLURM_CPUS_PER_TASK:-16}" --nthreads 1 \
    --no-dashboard --local-directory "${TMPDIR:-/tmp}" &
workers=$!
trap 'kill "$workers" "$scheduler" 2> /dev/null || true' EXIT

# The scheduler takes some seconds to answer.
for _ in {1..60}; do
    if (: < "/dev/tcp/$(hostname -s)/${DASK_PORT:-8786}") 2> /dev/null; then
        break
    fi
    sleep 1
done
regreveal run "$@" --dask "$address"
