/** The whole product on Glue, moto with Glue's optimistic locking; PyIceberg finds the table through Glue. */
import { catalogSuite } from "../support/catalogSuite.ts";

catalogSuite("Glue", "glue");
