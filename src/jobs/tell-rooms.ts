import type { JobDescription } from "../contract/jobs.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import type { Jobs } from "./jobs.ts";

const log = getLogger("jobs");

/** Publishes how each job is to the room `jobs:<id>`, which has no past: whoever subscribes asks for the job first. */
export function tellRooms(jobs: Pick<Jobs, "listen">, rooms: Pick<Rooms, "publish">): void {
  jobs.listen((job: JobDescription) => {
    outsideRequests(() => {
      rooms
        .publish(`jobs:${job.id}`, job)
        // Of interest to those who watch only: the job itself goes on.
        .catch((error: unknown) => log.debug("job.not_told", { job_id: job.id, error }));
    });
  });
}
