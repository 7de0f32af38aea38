import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** SqlJob FILE PARALLELISM CHECKPOINT_MS: runs a file of SQL on a local mini-cluster, as Flink's SQL client would. */
public class SqlJob {
  public static void main(String[] arguments) throws Exception {
    int parallelism = Integer.parseInt(arguments[1]);
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", arguments[1]);
    settings.setString("taskmanager.numberOfTaskSlots", arguments[1]);
    settings.setString("execution.checkpointing.interval", arguments[2] + "ms");
    settings.setString("pipeline.object-reuse", "true");
    StreamTableEnvironment tables =
        StreamTableEnvironment.create(StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings));
    tables.getConfig().set("pipeline.object-reuse", "true");
    TableResult last = null;
    for (String statement : Files.readString(Path.of(arguments[0])).split(";\n")) {
      last = tables.executeSql(statement);
    }
    last.await();
  }
}
