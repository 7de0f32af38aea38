/** The whole product with its catalog on PostgreSQL; PyIceberg finds the table through the catalog. */
import { catalogSuite } from "../support/catalogSuite.ts";

catalogSuite("PostgreSQL", "postgres");
