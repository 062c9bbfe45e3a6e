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

# Of the job's number, since another job of these may have begun on the same node.
port=${DASK_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))}
started=$(mktemp)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -f "$started"' EXIT

# It writes the file once it answers. Whoever else answers at its port must not be taken for it.
dask scheduler --port "$port" --no-dashboard --scheduler-file "$started" &
until [[ -s $started ]]; do
    if ! kill -0 $! 2> /dev/null; then
        echo "The Dask scheduler has ended; where its port $port is taken, set DASK_PORT to another." >&2
        exit 1
    fi
    sleep 0.2
done
address=tcp://$(hostname -s):$port
srun --cpu-bind=none dask worker "$address" --nworkers "${SLURM_CPUS_PER_TASK:-16}" --nthreads 1 \
    --no-dashboard --local-directory "${TMPDIR:-/tmp}" &
regreveal run "$@" --dask "$address"
