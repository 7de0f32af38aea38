/** The whole product on a Hive Metastore 4.0.0; PyIceberg finds the table through the metastore. */
import { catalogSuite } from "../support/catalogSuite.ts";

catalogSuite("Hive Metastore", "hive");
