"""Chroma as its users call it: its Python client embeds texts and asks a server. Commands are lines of JSON on stdin.

Two collections hold the same: "default" has the embedding function that Chroma takes when none is named, which opens the
model anew at every call; "kept" has the class that this one calls, opened once.
"""

import json
import sys
import threading
import time

import chromadb
from chromadb.utils.embedding_functions import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2

BATCH = 100


class Kept(ONNXMiniLM_L6_V2):
    """Its model is looked up once and not at the first call of each of many threads at once."""

    def __init__(self):
        super().__init__()
        self(["the first call opens the model"])


def fill(collections, embed, passages):
    """Writes to both; only writing to the quicker one is timed."""
    kept_seconds = 0
    for at in range(0, len(passages), BATCH):
        part = passages[at : at + BATCH]
        ids, texts = [one["id"] for one in part], [one["title"] + " " + one["text"] for one in part]
        start = time.perf_counter()
        vectors = embed(texts)
        collections["kept"].add(ids=ids, documents=texts, embeddings=vectors)
        kept_seconds += time.perf_counter() - start
        collections["default"].add(ids=ids, documents=texts, embeddings=vectors)
    return {"seconds": kept_seconds}


def measure(collection, queries, threads, seconds):
    """So many threads, each with one query under way, for some seconds and at least one query each."""
    latencies, failures = [], []
    lock, turn = threading.Lock(), iter(range(1 << 62))
    warm = threading.Barrier(threads + 1)

    def search():
        with lock:
            query = queries[next(turn) % len(queries)]
        if not collection.query(query_texts=[query], n_results=10)["ids"][0]:
            raise RuntimeError("a search found nothing")

    def search_on():
        try:
            search()
            warm.wait()
            start = sent = time.perf_counter()
            while sent < start + seconds:
                search()
                now = time.perf_counter()
                latencies.append((now - sent) * 1e6)
                sent = now
        except Exception as error:  # Told to the caller: a thread's own failure would be lost.
            failures.append(str(error))
            warm.abort()

    running = [threading.Thread(target=search_on) for _ in range(threads)]
    for one in running:
        one.start()
    try:
        warm.wait()
    except threading.BrokenBarrierError:
        pass
    start = time.perf_counter()
    for one in running:
        one.join()
    elapsed = time.perf_counter() - start
    if failures:
        raise RuntimeError(failures[0])
    latencies.sort()
    at = lambda share: latencies[int(share * (len(latencies) - 1))]
    return {"perSecond": len(latencies) / elapsed, "p50Us": at(0.5), "p99Us": at(0.99)}


def main(port, texts_path):
    with open(texts_path, encoding="utf-8") as file:
        texts = json.load(file)
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    embed = Kept()
    functions = {"default": DefaultEmbeddingFunction(), "kept": embed}
    collections = {
        name: client.get_or_create_collection(name, embedding_function=function) for name, function in functions.items()
    }
    for line in sys.stdin:
        command = json.loads(line)
        if command["kind"] == "fill":
            answer = fill(collections, embed, texts["passages"])
        else:
            collection = collections[command["embedder"]]
            answer = measure(collection, texts["queries"], command["connections"], command["seconds"])
        print(json.dumps(answer), flush=True)


main(int(sys.argv[1]), sys.argv[2])
