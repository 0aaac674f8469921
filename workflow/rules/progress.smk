# What a run says of itself: how far its trainings are, and at the end what was made and where.
from lgsf.training import progress


def trainings():
    """Logs of the trainings that this run is about to make."""
    return [Path(job.log[0]) for job in workflow.persistence.dag.needrun_jobs() if job.rule.name == "train"]


def say_what_was_made():
    """The pages and folders that are there."""
    tables = workflow.pathvars.apply("<tables>")
    places = {"Runs": RESULTS, "Tables": f"{tables}/comparison", "Report": f"{REPORT}/index.html"}
    for what, path in places.items():
        if Path(path).exists():
            print(f"{what}: {path}")


onstart:
    if logs := trainings():
        progress.report(logs, lambda line: print(line, file=sys.stderr))


onsuccess:
    say_what_was_made()


onerror:
    print("Some jobs failed. Target partial_report shows the runs that exist.")
