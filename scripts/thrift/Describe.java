import java.util.Map;
import java.util.TreeMap;
import org.apache.thrift.TFieldIdEnum;
import org.apache.thrift.meta_data.EnumMetaData;
import org.apache.thrift.meta_data.FieldMetaData;
import org.apache.thrift.meta_data.FieldValueMetaData;
import org.apache.thrift.meta_data.ListMetaData;
import org.apache.thrift.meta_data.MapMetaData;
import org.apache.thrift.meta_data.SetMetaData;
import org.apache.thrift.meta_data.StructMetaData;
import org.apache.thrift.protocol.TType;

/**
 * Prints what the classes that Thrift made of the metastore's interface say of themselves, one line each: the
 * arguments and results of the named calls, and all structs in them.
 *
 * <p>{@code call<TAB>name<TAB>fields of its arguments<TAB>fields of its result}, {@code struct<TAB>name<TAB>fields};
 * a field is {@code id:name:type}, fields are divided by spaces.
 */
public final class Describe {
  private static final String API = "org.apache.hadoop.hive.metastore.api.";
  private static final Map<String, String> STRUCTS = new TreeMap<>();

  public static void main(String[] calls) throws Exception {
    for (String call : calls) {
      String outer = API + "ThriftHiveMetastore$" + call;
      Class<?> arguments;
      try {
        arguments = Class.forName(outer + "_args");
      } catch (ClassNotFoundException missing) {
        System.out.println("call\t" + call + "\tnone\tnone");
        continue;
      }
      String given = fields(arguments);
      System.out.println("call\t" + call + "\t" + given + "\t" + fields(Class.forName(outer + "_result")));
    }
    STRUCTS.forEach((name, fields) -> System.out.println("struct\t" + name + "\t" + fields));
  }

  @SuppressWarnings("unchecked")
  private static String fields(Class<?> type) throws Exception {
    Map<TFieldIdEnum, FieldMetaData> map =
        (Map<TFieldIdEnum, FieldMetaData>) type.getField("metaDataMap").get(null);
    TreeMap<Short, String> byId = new TreeMap<>();
    for (Map.Entry<TFieldIdEnum, FieldMetaData> each : map.entrySet()) {
      short id = each.getKey().getThriftFieldId();
      FieldMetaData field = each.getValue();
      byId.put(id, id + ":" + field.fieldName + ":" + type(field.valueMetaData));
    }
    return String.join(" ", byId.values());
  }

  private static String type(FieldValueMetaData value) throws Exception {
    if (value instanceof StructMetaData) {
      Class<?> own = ((StructMetaData) value).structClass;
      String name = own.getSimpleName();
      if (!STRUCTS.containsKey(name)) {
        STRUCTS.put(name, "");
        Class.forName(own.getName());
        STRUCTS.put(name, fields(own));
      }
      return "struct<" + name + ">";
    }
    if (value instanceof ListMetaData) return "list<" + type(((ListMetaData) value).elemMetaData) + ">";
    if (value instanceof SetMetaData) return "set<" + type(((SetMetaData) value).elemMetaData) + ">";
    if (value instanceof MapMetaData) {
      MapMetaData map = (MapMetaData) value;
      return "map<" + type(map.keyMetaData) + "," + type(map.valueMetaData) + ">";
    }
    if (value instanceof EnumMetaData) return "i32";
    switch (value.type) {
      case TType.BOOL: return "bool";
      case TType.BYTE: return "byte";
      case TType.I16: return "i16";
      case TType.I32: return "i32";
      case TType.I64: return "i64";
      case TType.DOUBLE: return "double";
      case TType.STRING: return value.isBinary() ? "binary" : "string";
      case TType.STRUCT: return "struct<" + value.getTypedefName() + ">";
      default: throw new IllegalStateException("no type " + value.type);
    }
  }
}
