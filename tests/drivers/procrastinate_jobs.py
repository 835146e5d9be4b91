"""Procrastinate's schema, put where the URL's search path leads; or a job deferred and run there.

    procrastinate_jobs.py URL schema|work
"""
import asyncio
import sys

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))
done = []


@app.task(name="add")
def add(a, b):
    done.append(a + b)


async def schema():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work():
    async with app.open_async():
        assert await add.defer_async(a=1, b=2) == 1
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        jobs = await app.job_manager.list_jobs_async()
    assert done == [3] and [job.status for job in jobs] == ["succeeded"], (done, jobs)


asyncio.run({"schema": schema, "work": work}[sys.argv[2]]())
