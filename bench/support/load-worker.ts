/** The process of a load generator: a job comes by IPC, its report goes back. Started by load.ts. */
import type { Socket } from "bun";
import { AnswerReader } from "./load-answer.ts";
import { LatencyHistogram } from "./load-histogram.ts";
import type { LoadJob, LoadReport } from "./load.ts";

/** A job that gets no answer for so long has failed. */
const SILENCE_MS_MAX = 60_000;

interface Connection {
  socket: Socket | undefined;
  answers: AnswerReader;
  /** What the socket has not taken yet of the request. */
  unsent: Uint8Array | undefined;
  /** Of `Bun.nanoseconds`; 0 while none is under way. */
  sentAt: number;
}

class LoadRun {
  readonly #job: LoadJob;
  readonly #latencies = new LatencyHistogram();
  readonly #ended = Promise.withResolvers<void>();
  #next = 0;
  #open: number;
  #errors = 0;
  #firstError = "";
  #countedFrom = 0;
  #countedTo = 0;
  #countsFrom: number;
  #endsAt: number;
  #lastAnswerAt = performance.now();
  #cpuFrom = process.cpuUsage();

  constructor(job: LoadJob) {
    this.#job = job;
    this.#open = job.connections;
    this.#countsFrom = Bun.nanoseconds() + (job.warmUpSeconds ?? 0) * 1e9;
    this.#endsAt = this.#countsFrom + (job.seconds ?? Infinity) * 1e9;
  }

  async run(): Promise<LoadReport> {
    const watching = setInterval(() => this.#watch(), 1000);
    const { hostname, port } = new URL(this.#job.url);
    const connections = Array.from({ length: this.#job.connections }, () => this.#connection());
    await Promise.all(
      connections.map((connection) =>
        Bun.connect({ hostname, port: Number(port), socket: this.#handlers(connection) }),
      ),
    );
    for (const connection of connections) this.#send(connection);
    await this.#ended.promise;
    clearInterval(watching);
    for (const { socket } of connections) socket?.end();
    return this.#report();
  }

  #connection(): Connection {
    const answers = new AnswerReader(this.#job.expect ?? "");
    return { socket: undefined, answers, unsent: undefined, sentAt: 0 };
  }

  #handlers(connection: Connection) {
    return {
      open: (socket: Socket): void => {
        socket.setNoDelay(true);
        connection.socket = socket;
      },
      data: (_: Socket, bytes: Buffer): void => this.#receive(connection, bytes),
      drain: (): void => this.#write(connection),
      close: (): void => {
        if (connection.sentAt > 0) this.#fail(connection, "the connection was closed");
      },
      error: (_: Socket, error: Error): void => this.#fail(connection, error.message),
    };
  }

  /** Sends the next request, or counts the connection as done where none is to be sent any more. */
  #send(connection: Connection): void {
    const { requests, count = Infinity } = this.#job;
    if (this.#next >= count || Bun.nanoseconds() >= this.#endsAt || this.#firstError !== "") {
      connection.sentAt = 0;
      if (--this.#open === 0) this.#ended.resolve();
      return;
    }
    connection.unsent = requests[this.#next++ % requests.length];
    connection.sentAt = Bun.nanoseconds();
    this.#write(connection);
  }

  #write(connection: Connection): void {
    const { socket, unsent } = connection;
    if (socket === undefined || unsent === undefined) return;
    const written = socket.write(unsent);
    connection.unsent = written < unsent.length ? unsent.subarray(Math.max(0, written)) : undefined;
  }

  #receive(connection: Connection, bytes: Buffer): void {
    const state = connection.answers.take(bytes);
    if (state.kind === "partial") return;
    if (state.kind === "wrong") {
      this.#fail(connection, state.reason);
      return;
    }
    this.#count(connection.sentAt);
    if (this.#job.pauseMs === undefined) this.#send(connection);
    else {
      connection.sentAt = 0;
      setTimeout(() => this.#send(connection), this.#job.pauseMs);
    }
  }

  #count(sentAt: number): void {
    const now = Bun.nanoseconds();
    this.#lastAnswerAt = performance.now();
    // What is answered after the end was held up by nobody's wish to measure it.
    if (sentAt < this.#countsFrom || now > this.#endsAt) return;
    if (this.#countedFrom === 0) {
      this.#countedFrom = sentAt;
      this.#cpuFrom = process.cpuUsage();
    }
    this.#countedTo = now;
    this.#latencies.add((now - sentAt) / 1000);
  }

  #fail(connection: Connection, reason: string): void {
    this.#errors++;
    this.#firstError ||= reason;
    connection.sentAt = 0;
    if (--this.#open === 0) this.#ended.resolve();
  }

  #watch(): void {
    if (performance.now() - this.#lastAnswerAt < SILENCE_MS_MAX) return;
    this.#errors++;
    this.#firstError ||= `no answer for ${SILENCE_MS_MAX} ms`;
    this.#ended.resolve();
  }

  #report(): LoadReport {
    const { user, system } = process.cpuUsage(this.#cpuFrom);
    const requests = this.#latencies.total;
    const seconds = (this.#countedTo - this.#countedFrom) / 1e9;
    return {
      requests,
      seconds,
      perSecond: requests / seconds,
      p50Us: this.#latencies.quantile(0.5),
      p99Us: this.#latencies.quantile(0.99),
      generatorCpuUs: (user + system) / requests,
      errors: this.#errors,
      firstError: this.#firstError,
    };
  }
}

process.on("message", (job: LoadJob) => {
  void new LoadRun(job).run().then(
    (report) => process.send?.({ report }),
    (error: unknown) => process.send?.({ failed: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
