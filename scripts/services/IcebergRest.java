package org.apache.iceberg.rest;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogUtil;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletApiRequest;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/**
 * Iceberg's own REST catalog on the loopback address. Its stock main listens on all addresses and
 * compresses, which spoils ETags. Some things are added for tests:
 *
 * <ul>
 *   <li>POST /__fault?mode=M&times=N&status=S&match=REGEX: what happens to the next N requests whose
 *       "METHOD path" matches. before: answered S, nothing done. after: done, answered S.
 *       drop-before, drop-after: the connection is closed. nothing: answered with the table as it is,
 *       as though done. hang-after: done, never answered.
 *   <li>GET /__counts: how many requests were answered, by "METHOD status", those about tokens and
 *       configuration aside.
 *   <li>OAUTH=id:secret: tokens are given to that client by /v1/oauth/tokens and asked of all others;
 *       they live TOKEN_MS milliseconds.
 *   <li>LEND_MS=N: the keys of the store that it hands out (include-credentials) end after N
 *       milliseconds: expiringS3.ts says how.
 * </ul>
 *
 * Properties of the catalog are the arguments: KEY=VALUE.
 */
public final class IcebergRest {
  private static final String TOKENS = "/v1/oauth/tokens";
  /** Commits of several tables, whose answer has no body. */
  private static final String TOGETHER = "/v1/transactions/commit";
  private static final Map<String, Long> LIVING = new ConcurrentHashMap<>();
  private static final long LEND_MS =
      Long.parseLong(System.getenv().getOrDefault("LEND_MS", "0"));
  private static final Map<String, Long> COUNTS = new ConcurrentHashMap<>();
  private static Fault fault = null;

  private record Fault(String mode, int status, Pattern match, int times) {}

  public static void main(String[] arguments) throws Exception {
    if (arguments.length == 1 && arguments[0].equals("--version")) return;
    Map<String, String> properties = new HashMap<>();
    for (String argument : arguments) {
      int at = argument.indexOf('=');
      properties.put(argument.substring(0, at), argument.substring(at + 1));
    }
    int port = Integer.parseInt(properties.remove("port"));
    var catalog = CatalogUtil.buildIcebergCatalog("rest", properties, new Configuration());
    var adapter =
        new RESTServerCatalogAdapter(new RESTCatalogServer.CatalogContext(catalog, properties));
    var context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    context.addServlet(new ServletHolder("catalog", new RESTCatalogServlet(adapter)), "/*");
    context.addFilter(
        new FilterHolder((Filter) IcebergRest::filter), "/*", EnumSet.of(DispatcherType.REQUEST));
    var server = new Server(new InetSocketAddress("127.0.0.1", port));
    server.setHandler(context);
    server.start();
    server.join();
  }

  private static void filter(ServletRequest in, ServletResponse out, FilterChain chain)
      throws IOException, ServletException {
    var request = (HttpServletRequest) in;
    var response = (HttpServletResponse) out;
    String path = request.getRequestURI();
    if (path.equals("/__counts")) {
      String counts =
          COUNTS.entrySet().stream()
              .map(each -> "\"" + each.getKey() + "\":" + each.getValue())
              .collect(Collectors.joining(",", "{", "}"));
      answer(response, 200, counts);
      return;
    }
    if (path.equals("/__fault")) {
      setFault(request);
      response.setStatus(204);
      return;
    }
    String client = System.getenv("OAUTH");
    if (client != null && path.equals(TOKENS)) {
      giveToken(request, response, client);
      return;
    }
    if (client != null && !isKnown(request)) {
      answer(response, 401, error(401, "NotAuthorizedException", "Not authorized"));
      return;
    }
    serve(request, response, chain, path);
    if (path.contains("/namespaces/") || path.endsWith(TOGETHER)) {
      COUNTS.merge(request.getMethod() + " " + response.getStatus(), 1L, Long::sum);
    }
  }

  private static void serve(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain, String path)
      throws IOException, ServletException {
    Fault met = nextFault(request.getMethod() + " " + path);
    if (met != null) apply(met, request, response, chain);
    else if (LEND_MS > 0 && path.contains("/tables")) lend(request, response, chain);
    else chain.doFilter(request, response);
  }

  /** Puts a session token with its end beside the keys, so that they end. */
  private static void lend(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    var body = new ByteArrayOutputStream();
    chain.doFilter(request, collecting(response, body, false));
    long end = System.currentTimeMillis() + LEND_MS;
    String lent =
        "\"s3.session-token\":\"until-" + end + "\",\"s3.session-token-expires-at-ms\":\"" + end + "\",";
    String text =
        body.toString(StandardCharsets.UTF_8)
            .replaceFirst("\"s3\\.secret-access-key\"", lent + "\"s3.secret-access-key\"");
    response.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
  }

  private static void apply(
      Fault met, HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    if (met.mode().equals("nothing") && request.getRequestURI().endsWith(TOGETHER)) {
      request.getInputStream().readAllBytes();
      response.setStatus(204);
      return;
    }
    if (met.mode().equals("nothing")) {
      // The same address by GET is the table as it is now.
      var asGet =
          new jakarta.servlet.http.HttpServletRequestWrapper(request) {
            @Override
            public String getMethod() {
              return "GET";
            }
          };
      request.getInputStream().readAllBytes();
      request.getServletContext().getNamedDispatcher("catalog").include(asGet, response);
      return;
    }
    if (met.mode().endsWith("after")) {
      chain.doFilter(request, collecting(response, new ByteArrayOutputStream(), true));
      response.reset();
    }
    switch (met.mode()) {
      case "before", "after" ->
          answer(response, met.status(), error(met.status(), "ServiceFailureException", "injected"));
      case "hang-after" -> sleep();
      default -> drop(request);
    }
  }

  private static void sleep() {
    try {
      Thread.sleep(60_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void drop(HttpServletRequest request) {
    ((ServletApiRequest) request).getRequest().getConnectionMetaData().getConnection().getEndPoint().close();
  }

  /** A response whose body goes to a sink, and with `all` its status and headers nowhere. */
  private static HttpServletResponse collecting(
      HttpServletResponse response, ByteArrayOutputStream sink, boolean all) {
    var writer = new PrintWriter(sink, true, StandardCharsets.UTF_8);
    return new HttpServletResponseWrapper(response) {
      @Override
      public PrintWriter getWriter() {
        return writer;
      }

      @Override
      public ServletOutputStream getOutputStream() {
        return new ServletOutputStream() {
          @Override
          public void write(int b) {
            sink.write(b);
          }

          @Override
          public boolean isReady() {
            return true;
          }

          @Override
          public void setWriteListener(WriteListener listener) {}
        };
      }

      @Override
      public void setStatus(int status) {
        // The servlet sets another one behind the body, when it would have been sent already.
        if (!all && sink.size() == 0) super.setStatus(status);
      }

      @Override
      public void flushBuffer() {}
    };
  }

  private static synchronized void setFault(HttpServletRequest request) {
    String status = request.getParameter("status");
    fault =
        new Fault(
            request.getParameter("mode"),
            status == null ? 503 : Integer.parseInt(status),
            Pattern.compile(request.getParameter("match")),
            Integer.parseInt(request.getParameter("times")));
  }

  private static synchronized Fault nextFault(String request) {
    Fault now = fault;
    if (now == null || now.times() == 0 || !now.match().matcher(request).find()) return null;
    fault = new Fault(now.mode(), now.status(), now.match(), now.times() - 1);
    return now;
  }

  private static void giveToken(
      HttpServletRequest request, HttpServletResponse response, String client) throws IOException {
    String given = request.getParameter("client_id") + ":" + request.getParameter("client_secret");
    boolean isGrant = "client_credentials".equals(request.getParameter("grant_type"));
    if (!given.equals(client) || !isGrant) {
      answer(response, 401, "{\"error\":\"invalid_client\"}");
      return;
    }
    long lifeMs = Long.parseLong(System.getenv("TOKEN_MS"));
    String token = UUID.randomUUID().toString();
    LIVING.put(token, System.currentTimeMillis() + lifeMs);
    answer(
        response,
        200,
        "{\"access_token\":\"" + token + "\",\"token_type\":\"bearer\",\"expires_in\":" + lifeMs / 1000.0 + "}");
  }

  private static boolean isKnown(HttpServletRequest request) {
    String header = request.getHeader("Authorization");
    if (header == null || !header.startsWith("Bearer ")) return false;
    Long end = LIVING.get(header.substring("Bearer ".length()));
    return end != null && System.currentTimeMillis() < end;
  }

  private static String error(int status, String type, String message) {
    return "{\"error\":{\"message\":\"" + message + "\",\"type\":\"" + type + "\",\"code\":" + status + "}}";
  }

  private static void answer(HttpServletResponse response, int status, String body)
      throws IOException {
    response.setStatus(status);
    response.setContentType("application/json");
    response.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
  }
}
