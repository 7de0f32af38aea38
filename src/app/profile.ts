/**
 * `GET /profile?seconds=N`: where the event loop's CPU time goes, for a bug report. Off unless
 * `server.profile_enabled`; one at a time.
 *
 * It is in the form that Chrome's developer tools and speedscope open (.cpuprofile): names of functions and lines of
 * this program, no value of any row or key. Sampling costs a few percent while it runs, and nothing afterwards.
 */
import { Session } from "node:inspector";
import type { Clock } from "#base/clock.ts";
import type { Route } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";

/** Longest profile: samples are kept in memory, some 10 KB a second. */
const SECONDS_MAX = 60;
const SECONDS_DEFAULT = 10;
const OFF = "Profiles are off: set server.profile_enabled = true, and start the process again";
const INTERVAL_US = 1000;
const MS_PER_SECOND = 1000;
/** Time to write the answer down. */
const ANSWER_MS = 10_000;

/** The route. @param isOn `server.profile_enabled`; without it the answer says so */
export function profileRoute(clock: Pick<Clock, "sleep">, isOn: boolean): Route {
  return {
    method: "GET",
    path: "/profile",
    listeners: ["health"],
    access: "token",
    limits: {
      bodyBytesMax: 0,
      timeMsMax: SECONDS_MAX * MS_PER_SECOND + ANSWER_MS,
      atOnceMax: 1,
    },
    answer: async ({ url, signal }) => {
      if (!isOn) return jsonAnswer(403, { error: OFF });
      const seconds = Number(url.searchParams.get("seconds") ?? SECONDS_DEFAULT);
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > SECONDS_MAX) {
        return jsonAnswer(400, { error: `seconds must be 1 to ${SECONDS_MAX}` });
      }
      return jsonAnswer(200, await profile(() => clock.sleep(seconds * MS_PER_SECOND, signal)));
    },
  };
}

/** The profile of what runs until `over`. */
async function profile(over: () => Promise<void>): Promise<object> {
  const session = new Session();
  session.connect();
  const ask = (method: string, parameters: object = {}): Promise<object> =>
    new Promise((resolve, reject) => {
      session.post(method, parameters, (error: Error | null, answer?: object) => {
        if (error === null) resolve(answer ?? {});
        else reject(error);
      });
    });
  try {
    await ask("Profiler.enable");
    await ask("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await ask("Profiler.start");
    await over();
    const { profile: found } = (await ask("Profiler.stop")) as { readonly profile: object };
    return found;
  } finally {
    session.disconnect();
  }
}
