// sluice: the command line.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <functional>

#include "cli/command_tree.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "gateway/gateway.h"

namespace {

using namespace sluice::cli;

void add_run_flags(CLI::App& command, sluice::cli::RunFlags& flags) {
  command
      .add_option("-c,--config", flags.config, "configuration file; the flags below override it")
      ->type_name("FILE");
  command.add_option("--listen", flags.listen, "address to listen on; default 0.0.0.0:8000")
      ->type_name("ADDR:PORT");
  command
      .add_option("--upstream", flags.upstream, "where requests go; default http://127.0.0.1:9001")
      ->type_name("URL");
  command.add_option("--auth", flags.auth, "none: no token is asked for; default jwt")
      ->type_name("jwt|none");
  command
      .add_option("--rate", flags.rate,
                  "requests per client address, or none: no limit; default 10/s")
      ->type_name("N/s|none");
  command.add_option("--burst", flags.burst, "requests above the rate that are let in; default 5")
      ->type_name("N");
  command
      .add_option("--delay", flags.delay,
                  "how much of the burst passes at once, the rest is held; default: all of it")
      ->type_name("N");
  command.add_option("--cores", flags.cores, "workers, one a core; default: every core allowed")
      ->type_name("N");
  command.add_option("--user", flags.user, "user to switch to after binding")
      ->type_name("NAME[:GROUP]");
  command.add_option("--sandbox", flags.sandbox, "off to debug; default on")->type_name("on|off");
  command
      .add_option("--control", flags.control,
                  "control socket; default $RUNTIME_DIRECTORY/control.sock, if that is set")
      ->type_name("PATH");
  command
      .add_option("--log", flags.log,
                  "access log: a file, stdout (or -), stderr or none; default -")
      ->type_name("PATH|-|stderr|none");
  command
      .add_option("--upstream-timeout", flags.upstream_timeout,
                  "until the response head; default 60s")
      ->type_name("2s");
}

void add_mint_flags(CLI::App& command, sluice::cli::MintFlags& flags) {
  command.add_option("--sub", flags.subject, "subject; default demo")->type_name("NAME");
  command.add_option("--ttl", flags.ttl, "time to live; default 1h")->type_name("15m");
  command.add_option("--alg", flags.algorithm, "default HS256, or what fits the key")
      ->type_name("ALG");
  command.add_option("--key", flags.key, "a private key in PEM; default: JWT_SECRET")
      ->type_name("FILE");
  command.add_option("--kid", flags.kid, "the key's name; default with --key: its thumbprint")
      ->type_name("NAME");
  command.add_option("--claim", flags.claims, "another claim, a text; may be given again")
      ->type_name("NAME=VALUE");
  command
      .add_option("--json", flags.json,
                  "another claim of any kind, e.g. aud=[\"a\"]; may be given again")
      ->type_name("NAME=JSON");
}

// What the command line says; the command that was given is left in `chosen`.
struct CommandLine {
  RunFlags run, demo, shown;
  bool resolves = false;
  bool lacks_secrets = false;
  bool shows_effective = false;
  bool shows_schema = false;
  std::string backend_listen = "127.0.0.1:9001";
  std::string checked;
  std::string reason;
  bool as_markdown = false;
  std::string examined;
  bool as_json = false;
  std::string control;
  LimitsFlags limits;
  MintFlags mint;
  std::string inspected;
  VerifyFlags verify;
  KeyFlags key;
  CertificateFlags certificate;
  std::vector<std::string> key_files;
  std::string api_id, api_subject;
  std::vector<std::string> topic;
  std::string shell;
  std::string page = "sluice";
  std::function<int()> chosen;
};

void add_gateway_commands(CLI::App& app, CommandLine& line) {
  CLI::App* run =
      app.add_subcommand("run", "run the gateway; from a file, or with JWT_SECRET and flags");
  add_run_flags(*run, line.run);
  run->add_flag("--demo-routes", line.run.demo_routes, "answer GET /demo/work?ms=N too");
  run->add_flag("--take-over", line.run.takes_over,
                "take the place of the gateway at the control socket; it drains");
  run->callback([&line] { line.chosen = [&line] { return run_command(line.run); }; });

  CLI::App* reload =
      app.add_subcommand("reload", "have a running gateway read its configuration again");
  reload
      ->add_option("--control", line.control,
                   "its control socket; default $RUNTIME_DIRECTORY/control.sock")
      ->type_name("PATH");
  reload->callback([&line] { line.chosen = [&line] { return reload_command(line.control); }; });

  CLI::App* demo = app.add_subcommand(
      "demo", "run the gateway with an example service behind it, and show what to try");
  add_run_flags(*demo, line.demo);
  demo->callback([&line] { line.chosen = [&line] { return demo_command(line.demo); }; });

  CLI::App* backend = app.add_subcommand("backend", "run the example service alone");
  backend
      ->add_option("--listen", line.backend_listen, "address to listen on; default 127.0.0.1:9001")
      ->type_name("ADDR:PORT");
  backend->callback(
      [&line] { line.chosen = [&line] { return backend_command(line.backend_listen); }; });
}

// What judges, shows and explains.
void add_judging_commands(CLI::App& app, CommandLine& line) {
  CLI::App* check = app.add_subcommand("check", "judge a configuration file and say what it means");
  check->add_option("-c,--config,file", line.checked, "configuration file")
      ->type_name("FILE")
      ->required();
  check->add_flag("--resolve", line.resolves, "look up the names of endpoints too");
  check->add_flag("--no-secrets", line.lacks_secrets,
                  "judge without the secrets that the environment or files would hold");
  check->callback([&line] {
    line.chosen = [&line] {
      return check_command(line.checked, line.resolves ? Resolving::yes : Resolving::no,
                           line.lacks_secrets ? Secrets::not_needed : Secrets::needed);
    };
  });

  CLI::App* config = app.add_subcommand(
      "config", "show a configuration with everything that holds, or the form of the file");
  add_run_flags(*config, line.shown);
  config->add_flag("--effective", line.shows_effective, "each value with its origin");
  config->add_flag("--schema", line.shows_schema, "a JSON Schema, for editors");
  config->callback([&line] {
    line.chosen = [&line] {
      return config_command(line.shown, line.shows_schema ? Showing::schema : Showing::effective);
    };
  });

  CLI::App* reasons = app.add_subcommand("reasons", "what the codes of refusals and failures mean");
  reasons->add_option("code", line.reason, "one of them; default: all")->type_name("CODE");
  reasons->add_flag("--markdown", line.as_markdown, "as docs/reasons.md has them");
  reasons->callback([&line] {
    line.chosen = [&line] {
      return reasons_command(line.reason,
                             line.as_markdown ? ReasonForm::markdown : ReasonForm::text);
    };
  });

  CLI::App* doctor = app.add_subcommand(
      "doctor", "examine the host, and what a configuration needs of it; says what to do");
  doctor->add_option("-c,--config,file", line.examined, "configuration file; default: none")
      ->type_name("FILE");
  doctor->add_flag("--json", line.as_json, "as JSON");
  doctor->callback([&line] {
    line.chosen = [&line] {
      return doctor_command(line.examined, line.as_json ? Form::json : Form::text);
    };
  });
}

void add_limits_commands(CLI::App& app, CommandLine& line) {
  CLI::App* limits = app.add_subcommand("limits", "see that limits are exact");
  limits->require_subcommand(1);
  CLI::App* verify =
      limits->add_subcommand("verify", "drive a gateway with its own load, and count");
  verify->add_option("--rate", line.limits.rate, "of each client; default 100/s")->type_name("N/s");
  verify->add_option("--burst", line.limits.burst, "at least 1; default 50")->type_name("N");
  verify->add_option("--cores", line.limits.cores, "workers, more than cores if wished; default 2")
      ->type_name("N");
  verify->add_option("--addresses", line.limits.addresses, "clients; default 8")->type_name("N");
  verify->add_option("--for", line.limits.duration, "how long; default 3s")->type_name("3s");
  verify->callback(
      [&line] { line.chosen = [&line] { return limits_verify_command(line.limits); }; });
}

void add_token_commands(CLI::App& app, CommandLine& line) {
  CLI::App* token = app.add_subcommand("token", "mint, inspect or verify a token; alone it mints");
  token->require_subcommand(0, 1);
  CLI::App* mint = token->add_subcommand("mint", "mint a token, with JWT_SECRET or a private key");
  for (CLI::App* command : {token, mint}) add_mint_flags(*command, line.mint);
  token->callback([&line] {
    if (!line.chosen) line.chosen = [&line] { return token_mint_command(line.mint); };
  });
  CLI::App* inspect =
      token->add_subcommand("inspect", "show what a token says, without trusting it");
  inspect->add_option("token", line.inspected, "the token, or - to read it from standard input")
      ->required();
  inspect->callback(
      [&line] { line.chosen = [&line] { return token_inspect_command(line.inspected); }; });
  CLI::App* verify =
      token->add_subcommand("verify", "judge a token by a configuration, check by check");
  verify->add_option("-c,--config", line.verify.config, "configuration file")
      ->type_name("FILE")
      ->required();
  verify->add_option("--auth", line.verify.auth, "a name of auth:; default: all of them")
      ->type_name("NAME");
  verify->add_option("token", line.verify.token, "the token, or - to read it from standard input")
      ->required();
  verify->callback(
      [&line] { line.chosen = [&line] { return token_verify_command(line.verify); }; });
}

void add_keys_commands(CLI::App& app, CommandLine& line) {
  CLI::App* keys =
      app.add_subcommand("keys", "make keys for tokens and callers, and certificates for trials");
  keys->require_subcommand(1);
  CLI::App* generate =
      keys->add_subcommand("generate", "make a pair of keys, and print its key set");
  generate->add_option("--alg", line.key.algorithm, "default ES256")->type_name("ALG");
  generate->add_option("--kid", line.key.kid, "default: the key's thumbprint (RFC 7638)")
      ->type_name("NAME");
  generate->add_option("--out", line.key.out, "writes OUT.pem and OUT.pub.pem; default key")
      ->type_name("OUT");
  generate->callback(
      [&line] { line.chosen = [&line] { return keys_generate_command(line.key); }; });
  CLI::App* jwks = keys->add_subcommand("jwks", "print the key set of public keys in PEM");
  jwks->add_option("files", line.key_files, "PEM files")->required();
  jwks->callback([&line] { line.chosen = [&line] { return keys_jwks_command(line.key_files); }; });
  CLI::App* certificate =
      keys->add_subcommand("certificate", "make a certificate that vouches for itself, for trials");
  certificate
      ->add_option("--name", line.certificate.names,
                   "a DNS name, *.NAME or an address, again for each; default localhost")
      ->type_name("NAME");
  certificate->add_option("--days", line.certificate.days, "how long it is valid; default 30")
      ->type_name("N")
      ->check(CLI::Range(1, 825));
  certificate
      ->add_option("--out", line.certificate.out, "writes OUT.pem and OUT.key; default certificate")
      ->type_name("OUT");
  certificate->callback(
      [&line] { line.chosen = [&line] { return keys_certificate_command(line.certificate); }; });
  CLI::App* api = keys->add_subcommand("api", "make an API key");
  api->add_option("id", line.api_id, "what the key is known by")->required();
  api->add_option("subject", line.api_subject, "whom it stands for")->required();
  api->callback([&line] {
    line.chosen = [&line] { return keys_api_command(line.api_id, line.api_subject); };
  });
}

// What explains the command line itself.
void add_help_commands(CLI::App& app, CommandLine& line) {
  CLI::App* help = app.add_subcommand("help", "explain a command, or exit-codes");
  help->add_option("topic", line.topic, "a command, or exit-codes; default: all commands")
      ->type_name("TOPIC");
  help->callback([&app, &line] {
    line.chosen = [&app, &line] {
      if (find_command(read_command_tree(app), line.topic) == nullptr)
        return help_topic_command(line.topic.back());
      const CLI::App* at = &app;
      for (const std::string& word : line.topic) at = at->get_subcommand(word);
      std::fputs(at->help().c_str(), stdout);
      return sluice::gateway::exit_clean;
    };
  });
  CLI::App* completion =
      app.add_subcommand("completion", "print what has a shell complete this command line");
  completion->add_option("shell", line.shell, "the shell")->type_name("bash|zsh|fish")->required();
  completion->callback([&app, &line] {
    line.chosen = [&app, &line] { return completion_command(read_command_tree(app), line.shell); };
  });
  CLI::App* man = app.add_subcommand("man", "print a manual page, for man -l -");
  man->add_option("page", line.page, "which one; default sluice")->type_name("sluice|sluice.yaml");
  man->callback([&app, &line] {
    line.chosen = [&app, &line] { return man_command(read_command_tree(app), line.page); };
  });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Sluice: an API gateway. JWT authentication, exact rate limits, a strict reverse proxy.",
      "sluice"};
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  CommandLine line;
  add_gateway_commands(app, line);
  add_judging_commands(app, line);
  add_token_commands(app, line);
  add_keys_commands(app, line);
  add_limits_commands(app, line);
  add_help_commands(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help_or_version) {
    return app.exit(asked_for_help_or_version);
  } catch (const CLI::ParseError& error) {
    const std::string wrong =
        wrong_command(read_command_tree(app), {argv + std::min(argc, 1), argv + argc});
    if (!wrong.empty()) {
      std::fprintf(stderr, "sluice: %s\n", wrong.c_str());
    } else {
      std::fprintf(stderr, "sluice: %s; see sluice --help\n", error.what());
    }
    return sluice::gateway::exit_usage;
  }
  return line.chosen();
}
