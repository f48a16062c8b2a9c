// sluice: the command line.
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "proxy/gateway.h"

namespace {

void add_run_flags(CLI::App& command, sluice::cli::RunFlags& flags) {
  command.add_option("-c,--config", flags.config, "configuration file; the flags below override it")->type_name("FILE");
  command.add_option("--listen", flags.listen, "address to listen on; default 0.0.0.0:8000")->type_name("ADDR:PORT");
  command.add_option("--upstream", flags.upstream, "where requests go; default http://127.0.0.1:9001")->type_name("URL");
  command.add_option("--rate", flags.rate, "requests per client address; default 10/s")->type_name("N/s");
  command.add_option("--burst", flags.burst, "requests above the rate that are let in; default 5")->type_name("N");
  command.add_option("--delay", flags.delay, "how much of the burst passes at once, the rest is held; default 0")->type_name("N");
  command.add_option("--cores", flags.cores, "workers, one a core; default: every core allowed")->type_name("N");
  command.add_option("--log", flags.log, "access log: a file, - or none; default -")->type_name("PATH|-|none");
  command.add_option("--upstream-timeout", flags.upstream_timeout, "until the response head; default 60s")->type_name("2s");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sluice::cli;
  CLI::App app{"Sluice: an API gateway. JWT authentication, exact rate limits, a strict reverse proxy."};
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);

  RunFlags run_flags;
  CLI::App* run = app.add_subcommand("run", "run the gateway; JWT_SECRET must be set");
  add_run_flags(*run, run_flags);
  run->add_flag("--demo-routes", run_flags.demo_routes, "answer GET /demo/work?ms=N too");

  RunFlags demo_flags;
  CLI::App* demo = app.add_subcommand("demo", "run the gateway with an example service behind it, and show what to try");
  add_run_flags(*demo, demo_flags);

  std::string checked;
  CLI::App* check = app.add_subcommand("check", "judge a configuration file and say what it means");
  check->add_option("-c,--config,file", checked, "configuration file")->type_name("FILE")->required();

  LimitsFlags limits_flags;
  CLI::App* limits = app.add_subcommand("limits", "see that limits are exact");
  limits->require_subcommand(1);
  CLI::App* verify = limits->add_subcommand("verify", "drive a gateway with its own load, and count");
  verify->add_option("--rate", limits_flags.rate, "of each client; default 100/s")->type_name("N/s");
  verify->add_option("--burst", limits_flags.burst, "at least 1; default 50")->type_name("N");
  verify->add_option("--cores", limits_flags.cores, "workers, more than cores if wished; default 2")->type_name("N");
  verify->add_option("--addresses", limits_flags.addresses, "clients; default 8")->type_name("N");
  verify->add_option("--for", limits_flags.duration, "how long; default 3s")->type_name("3s");

  std::string backend_listen = "127.0.0.1:9001";
  CLI::App* backend = app.add_subcommand("backend", "run the example service alone");
  backend->add_option("--listen", backend_listen, "address to listen on; default 127.0.0.1:9001")->type_name("ADDR:PORT");

  TokenFlags token_flags;
  CLI::App* token = app.add_subcommand("token", "mint a token with JWT_SECRET");
  token->add_option("--sub", token_flags.subject, "subject; default demo")->type_name("NAME");
  token->add_option("--ttl", token_flags.ttl, "time to live; default 1h")->type_name("15m");
  token->add_option("--alg", token_flags.algorithm, "HS256, HS384 or HS512; default HS256")->type_name("ALG");
  token->add_option("--claim", token_flags.claims, "another claim; may be given again")->type_name("NAME=VALUE");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help_or_version) {
    return app.exit(asked_for_help_or_version);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "sluice: %s; see sluice --help\n", error.what());
    return sluice::proxy::exit_usage;
  }
  if (run->parsed()) return run_command(run_flags);
  if (demo->parsed()) return demo_command(demo_flags);
  if (check->parsed()) return check_command(checked);
  if (verify->parsed()) return limits_verify_command(limits_flags);
  if (backend->parsed()) return backend_command(backend_listen);
  return token_command(token_flags);
}
