"""Runs so many processes of `true`, so many at a time, by HyperQueue (pip: hyperqueue) as one job, with a server and a
worker of its own; prints how many that are a second. bench/batch.ts calls it."""

import sys
import tempfile
import time

from hyperqueue import Job
from hyperqueue.cluster import LocalCluster, WorkerConfig

count, cores = (int(word) for word in sys.argv[1:3])
with tempfile.TemporaryDirectory() as directory:
    with LocalCluster(directory, WorkerConfig(cores=cores)) as cluster:
        client = cluster.client()
        job = Job(max_fails=1)
        for _ in range(count):
            job.program(["true"], stdout=None, stderr=None)
        begun = time.monotonic()
        submitted = client.submit(job)
        client.wait_for_jobs([submitted])
        print(count / (time.monotonic() - begun))
