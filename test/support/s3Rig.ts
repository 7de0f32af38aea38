/** S3 storage on a fake service, for its tests. */
import { systemClock } from "#base/clock.ts";
import { AppError } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createS3Storage } from "#storage/s3.ts";
import type { S3Options } from "#storage/s3Client.ts";
import type { Storage } from "#storage/storage.ts";
import {
  createS3Fake,
  type S3Fake,
  type S3FakeRequest,
  type S3Fault,
  s3FakeOptions,
} from "../fakes/s3Http.ts";

/** A storage on a fake whose first requests of an operation meet the given faults. */
export function open(
  faults: Readonly<Record<string, readonly (S3Fault | null)[]>> = {},
  options: {
    s3?: Partial<S3Options>;
    echoes?: boolean;
    before?: (r: S3FakeRequest) => void;
    /** Called when a request is answered, or lost. */
    after?: () => void;
    /** Gets what is observed of the service. */
    troubles?: unknown[];
  } = {},
): { storage: Storage; fake: S3Fake } {
  const counts: Record<string, number> = {};
  const fake = createS3Fake({
    buckets: ["b"],
    echoes: options.echoes ?? true,
    fault: (request) => {
      options.before?.(request);
      const count = counts[request.operation] ?? 0;
      counts[request.operation] = count + 1;
      return faults[request.operation]?.[count] ?? null;
    },
  });
  const requestHandler = {
    handle: (request: unknown) =>
      fake.requestHandler.handle(request).finally(() => options.after?.()),
  };
  const parts = {
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    observe: (seen: Observation) => {
      if (seen.type === "service") options.troubles?.push(seen.trouble);
    },
    requestHandler,
  };
  return { storage: createS3Storage({ ...s3FakeOptions, ...options.s3 }, parts), fake };
}

/** The error that a call ends with. */
export async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}

/** Requests of an operation. */
export const count = (fake: S3Fake, operation: string): number =>
  fake.requests.filter((request) => request.operation === operation).length;
