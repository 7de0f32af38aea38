/**
 * Whether a statement is planned alike whenever it comes: nothing in it is of the moment. DuckDB writes `current_date`,
 * `age(t)` or `current_localtimestamp()` into a plan as they are when it is made, so that a plan which is kept would show
 * the time of its first run. Pure.
 */
import type { Json } from "#base/json.ts";

/** Functions of their arguments alone. One that is missing costs a plan, no answer. */
const PURE = new Set(
  [
    "+ - * / // % || ~~ !~~ ~~* !~~* ** ^ & | << >> @",
    "count count_star sum avg min max median mode stddev variance quantile quantile_cont quantile_disc",
    "first last any_value arg_min arg_max min_by max_by bool_and bool_or string_agg list array_agg approx_count_distinct",
    "abs round floor ceil ceiling trunc sqrt ln log greatest least mod sign",
    "lower upper trim ltrim rtrim length strlen substring substr left right replace concat concat_ws contains",
    "starts_with prefix suffix split_part regexp_matches regexp_extract regexp_replace like_escape",
    "date_trunc date_part year month day hour minute second epoch epoch_ms epoch_us time_bucket to_timestamp make_timestamp",
    "to_milliseconds to_seconds to_minutes to_hours to_days to_weeks to_months to_years",
    "list_value struct_pack struct_extract array_extract list_extract map_extract len unnest hash md5 ifnull nullif",
  ].flatMap((line) => line.split(" ")),
);

/** Words that are functions where no column is called so. */
const WORDS = /^(?:current_|local|user$|session_user$)/;

/** True when what the statement's tree says does not depend on when it is read. */
export function isTimeless(tree: Json): boolean {
  if (tree === null || typeof tree !== "object") return true;
  if (!Array.isArray(tree)) {
    const { class: kind, function_name: called, column_names: names } = tree;
    if (kind === "FUNCTION" && !PURE.has(String(called).toLowerCase())) return false;
    if (kind === "COLUMN_REF" && Array.isArray(names) && names.length === 1) {
      if (WORDS.test(String(names[0]).toLowerCase())) return false;
    }
  }
  return Object.values(tree).every(isTimeless);
}
