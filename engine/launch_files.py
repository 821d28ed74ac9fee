"""Files that start a configuration on other machines: a script for each machine, and Slurm's and SkyPilot's that run it everywhere.

All of them run `danlu train`, which starts torchrun by itself, so a cluster trains exactly what the preset says. Only texts are made
here; nothing is sent anywhere.
"""

import shlex
from pathlib import Path

from msgspec import Struct

from engine.config import Config
from engine.errors import ConfigError

SLURM_GRACE_S = 180
"""Before its time is up a job hears a signal, so that the run stops after its step with a checkpoint."""

SEVERAL = """\
# On each of the {nodes} machines:  ./torchrun.sh NUMBER HOST:PORT
# NUMBER counts from 0; HOST is machine 0, PORT a free one there. Only in a network you trust: nobody authenticates a rank."""


class Job(Struct, frozen=True):
    """name: of the run, the same on every machine.  danlu: the installed command.  project: the folder danlu is installed from.
    accelerator: as SkyPilot names it."""

    name: str
    config: Config
    danlu: str
    project: str
    accelerator: str


def launch_files(job: Job) -> dict[str, str]:
    """Texts by file name, `config.toml` beside them left to the caller. Raises ConfigError for a job whose size is not said."""
    if not job.config.parallel.num_gpus:
        raise ConfigError(
            "parallel.num_gpus = 0: these files run on other machines, so say how many GPUs each of them has, for example "
            "--set parallel.num_gpus=8"
        )
    return {"torchrun.sh": _torchrun(job), "slurm.sbatch": _slurm(job), "sky.yaml": _sky(job)}


def _torchrun(job: Job) -> str:
    nodes = job.config.parallel.num_nodes
    several = nodes > 1
    place = ' --node-rank "$node" --rdzv "$meet"' if several else ""
    usage = SEVERAL.format(nodes=nodes) if several else "# ./torchrun.sh"
    arguments = "node=${1:?number of this machine, from 0}\nmeet=${2:?HOST:PORT of machine 0}\n" if several else "node=0\n"
    return f"""#!/usr/bin/env bash
{usage}
# danlu starts torchrun with {job.config.parallel.num_gpus} processes here, watches its ranks, and ends all of them when one fails.
# Started again it goes on from the newest checkpoint.
set -euo pipefail
{arguments}here=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
danlu=${{DANLU:-{shlex.quote(job.danlu)}}}
runs=${{DANLU_RUNS:-$here/runs}}
run={shlex.quote(job.name)}
if [ "$node" = 0 ] && [ -e "$runs/$run/config.toml" ]; then
  exec "$danlu" resume "$run" --runs-dir "$runs" --plain{place}
fi
exec "$danlu" train "$here/config.toml" --name "$run" --runs-dir "$runs" --plain{place} ${{DANLU_ARGUMENTS:-}}
"""


def _slurm(job: Job) -> str:
    nodes, gpus = job.config.parallel.num_nodes, job.config.parallel.num_gpus
    place = ' "$SLURM_NODEID" "$MEET"' if nodes > 1 else ""
    return f"""#!/usr/bin/env bash
#SBATCH --job-name={job.name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@{SLURM_GRACE_S}
#SBATCH --requeue
#SBATCH --output={job.name}-%j.log
# Submit it from this folder, which every machine must see:  sbatch slurm.sbatch
# A partition and an account, where your cluster wants them:  sbatch -p PARTITION -A ACCOUNT slurm.sbatch
set -euo pipefail
here=$SLURM_SUBMIT_DIR
MEET=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):$((20000 + SLURM_JOB_ID % 20000))
export here MEET
# {SLURM_GRACE_S} s before the time is up: stop after the current step with a checkpoint; submitted again it goes on from there.
trap '${{DANLU:-{job.danlu}}} stop {job.name} --runs-dir "${{DANLU_RUNS:-$here/runs}}"' TERM
srun --kill-on-bad-exit=1 bash -c 'exec "$here/torchrun.sh"{place}' &
job=$!
wait "$job" || wait "$job"
"""


def _sky(job: Job) -> str:
    nodes, gpus = job.config.parallel.num_nodes, job.config.parallel.num_gpus
    mounts, changes = _mounts(job.config)
    place = ' "$SKYPILOT_NODE_RANK" "$(echo "$SKYPILOT_NODE_IPS" | head -n 1):29500"' if nodes > 1 else ""
    mount_lines = "".join(f"  {remote}: {local}\n" for remote, local in mounts.items())
    return f"""# sky launch sky.yaml      then watch it:  ssh {job.name}, danlu attach {job.name}
name: {job.name}
num_nodes: {nodes}
resources:
  accelerators: {job.accelerator}:{gpus}   # any card the plan fits; see: sky show-gpus
  disk_size: 200
workdir: {job.project}
file_mounts:
  ~/danlu-job/torchrun.sh: ./torchrun.sh
  ~/danlu-job/config.toml: ./config.toml
{mount_lines}setup: |
  make set-up
run: |
  export DANLU="$HOME/sky_workdir/.venv/bin/danlu" DANLU_ARGUMENTS="{changes}"
  bash ~/danlu-job/torchrun.sh{place}
"""


def _mounts(config: Config) -> tuple[dict[str, str], str]:
    """Local data and model files: where they come to lie there, and the `--set` that names that place."""
    mounts, changes = {}, []
    for key, path in (("data.path", config.data.path), ("data.eval_path", config.data.eval_path), ("model.name", config.model.name)):
        if path and Path(path).is_absolute() and Path(path).exists():
            remote = f"~/danlu-job/{key.partition('.')[0]}-{Path(path).name}"
            mounts[remote] = path
            changes.append(f"--set {key}=$HOME{remote[1:]}")
    return mounts, " ".join(changes)
