/**
 * Whether Kafka, the store and the schema registry answer a pipeline, by what was last heard of them: quickly, since their
 * own retries go on for a minute before anybody gets an error.
 *
 * A failure counts from its first try, an answer ends it. Kafka's silence counts too: a long poll
 * that nobody answers fails only after half a minute.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";

/** The services that tell how they are. */
export type Service = Extract<Observation, { type: "service" }>["service"];

/** Silence of a broker that is being asked, beside the time that it may wait for records. */
const SILENT_MS = 5000;

/** What is known of a pipeline's services. */
export class Services {
  readonly #clock: Clock;
  readonly #troubles = new Map<Service, unknown>();
  #kafkaAnsweredMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#kafkaAnsweredMs = clock.monotonicMs();
  }

  /** Takes an observation; most say nothing of a service. */
  observe(observation: Observation): void {
    switch (observation.type) {
      case "service": {
        const { service, trouble } = observation;
        if (trouble === null) this.#troubles.delete(service);
        else this.#troubles.set(service, trouble);
        return;
      }
      // A position is what an answer to a fetch says of a partition.
      case "position":
      case "assigned":
        this.#kafkaAnsweredMs = this.#clock.monotonicMs();
        this.#troubles.delete("kafka");
        return;
      default:
    }
  }

  /** Why a service does not do what it was asked; null while it does, or nothing was asked. */
  trouble(service: Service): unknown {
    return this.#troubles.get(service) ?? null;
  }

  /**
   * The same of Kafka, its silence included.
   * @param waitMsMax how long a broker may wait for records before it answers
   * @param isAsked whether a partition is being read; only looked at after a silence
   */
  kafkaTrouble(waitMsMax: number, isAsked: () => boolean): unknown {
    const known = this.trouble("kafka");
    if (known !== null) return known;
    const silentMs = this.#clock.monotonicMs() - this.#kafkaAnsweredMs;
    if (silentMs <= SILENT_MS + waitMsMax || !isAsked()) return null;
    return fail("kafka_unreachable", `Kafka has not answered for ${Math.round(silentMs / 1000)} s`);
  }
}
