"""A worker that doubles bytes, prints, fails, hangs or dies: `python -m tests.serving.toy_worker`."""

import os
import time

from afjax.serving.brains.worker import serve


def answer(query, data):
    print("what libraries say")
    if query.get("do") == "fail":
        raise ValueError("this is\nwrong")
    if query.get("do") == "hang":
        time.sleep(60)
    if query.get("do") == "die":
        os._exit(1)
    return {"pid": os.getpid(), "names": sorted(os.environ)}, data * 2


if __name__ == "__main__":
    serve(answer)
