/** A `write-default` of every primitive type: as it stands in metadata, and as a row then has it. */
import type { PrimitiveType } from "#columns/schema.ts";
import type { Value } from "./columnValues.ts";

/** Type, JSON single value (Iceberg spec, Appendix D), and the value in a row. */
export const WRITE_DEFAULTS: readonly (readonly [PrimitiveType, unknown, Value])[] = [
  [{ kind: "boolean" }, true, true],
  [{ kind: "int" }, -7, -7],
  [{ kind: "long" }, 9_007_199_254_740_993n, 9_007_199_254_740_993n],
  [{ kind: "long" }, 5, 5n],
  [{ kind: "float" }, 1.5, 1.5],
  [{ kind: "double" }, 0.1, 0.1],
  [{ kind: "string" }, "déf", "déf"],
  [{ kind: "string" }, "", ""],
  [{ kind: "binary" }, "00ff61", "00ff61"],
  [{ kind: "fixed", length: 3 }, "00ff61", "00ff61"],
  [{ kind: "date" }, "1970-01-11", 10],
  [{ kind: "time" }, "00:00:01.5", 1_500_000n],
  [{ kind: "timestamp", zone: false }, "1970-01-01T00:00:01.000001", 1_000_001n],
  [{ kind: "timestamp", zone: true }, "1970-01-01T00:00:01.000001+00:00", 1_000_001n],
  [{ kind: "timestamp_ns", zone: true }, "1970-01-01T00:00:01.000000001+00:00", 1_000_000_001n],
  [{ kind: "uuid" }, "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"],
  [{ kind: "decimal", precision: 9, scale: 2 }, "-14.20", -1420n],
  [{ kind: "decimal", precision: 38, scale: 2 }, "14.20", 1420n],
];
