/** The events of generate.py as Avro, and their schema in a registry. */

const field = (name: string, type: unknown): object => ({ name, type });
const DEVICE = {
  type: "record",
  name: "Device",
  fields: [field("os", "string"), field("version", "string"), field("width", "long")],
};

/** The schema of an event. @param ts type of its time, milliseconds since 1970 */
export function eventSchema(ts: unknown = "long"): object {
  return {
    type: "record",
    name: "Event",
    fields: [
      field("event_id", "string"),
      field("user_id", "long"),
      field("event_type", "string"),
      field("ts", ts),
      field("url", "string"),
      field("amount", "double"),
      field("country", "string"),
      field("device", DEVICE),
      field("tags", { type: "array", items: "string" }),
      { ...field("referrer", ["null", "string"]), default: null },
    ],
  };
}

/** Registers a schema for a topic's values, by Confluent's API; its id. */
export async function registerSchema(url: string, topic: string, schema: object): Promise<number> {
  const response = await fetch(`${url}/subjects/${topic}-value/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  });
  return ((await response.json()) as { readonly id: number }).id;
}
