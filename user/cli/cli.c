/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include <callhome/callhome.h>
#include "clean.h"

#include <curl/curl.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/callhome/callhomed.sock"

static int cli_version(struct cli *cli, int argc, char **argv);
static int cli_help(struct cli *cli, int argc, char **argv);

#define READ_HELP "  --json           JSON, as the control API gives it\n"

static const struct cli_verb verbs[] = {
	{"status", cli_status, "", "how the collector is doing", READ_HELP},
	{"devices", cli_devices, "[import FILE|export|remove NAME]",
	 "list devices and their sessions, or change the inventory",
	 "  import FILE      put the lines of a CSV file into the inventory's database, all or "
	 "none\n"
	 "  export           the whole inventory as such CSV\n"
	 "  remove NAME      take a device out of the database, and end its session\n"
	 "  --pending        instead of devices, the keys of unknown devices that wait for accept "
	 "or\n"
	 "                   reject (devices.unknown: quarantine)\n"
	 "  --rejected       those that were rejected\n"
	 "  --state LIST     only these states: never, connecting, connected, disconnected,\n"
	 "                   refused (commas between)\n"
	 "  --name GLOB      only names that match, such as 'pe-*'\n"
	 "  --profile NAME   only this profile\n"
	 "  --manufacturer NAME\n"
	 "                   only this manufacturer ('pin' for pinned keys)\n"
	 "  --limit N        at most N devices\n"
	 "  --json           one JSON object per line\n"},
	{"show", cli_show, "NAME", "all that is known about one device", READ_HELP},
	{"rpc", cli_rpc, "NAME [-f FILE|-]", "send an operation to a device, print its reply",
	 "  -f, --file FILE  the operation, such as <get-config>...</get-config>, without <rpc>\n"
	 "                   around it; - or no -f: standard input\n"
	 "  --timeout TIME   how long the device may take, such as 90s (default 30s, most 1h)\n"},
	{"kill", cli_kill, "NAME", "end the session of a device (it may call again)", ""},
	{"accept", cli_accept, "FINGERPRINT --name NAME",
	 "make an unknown device one of the inventory",
	 "  --name NAME      what the device is called; of a device that is known already the key\n"
	 "                   becomes one more identity (a new certificate beside the old one)\n"
	 "  --credential NAME\n"
	 "                   what it is shown (default: as before, or the only one there is)\n"
	 "  --profile NAME   (default: as before, or the first)\n"},
	{"reject", cli_reject, "FINGERPRINT", "refuse the key of an unknown device from now on",
	 ""},
	{"reload", cli_reload, "[--wait]", "read the configuration and the files it names anew",
	 "  --wait           until every thread judges by them, and tell what changed; exit 1 and\n"
	 "                   every mistake if they are not good: then everything stays as it "
	 "is\n" READ_HELP},
	{"config", cli_config, "check FILE", "check a configuration without starting anything", ""},
	{"ban", cli_ban, "ls|add SOURCE|rm SOURCE", "who is banned; ban a source, or lift a ban",
	 "  ls               the bans in force\n"
	 "  add SOURCE       refuse connections of a source: an IPv4 address, or an IPv6 address,\n"
	 "                   which stands for its /64 (as guard.v4-prefix and v6-prefix say);\n"
	 "                   sessions of it that are up stay\n"
	 "  --for TIME       for so long, such as 10min or 2h (default: until it is lifted)\n"
	 "  rm SOURCE        lift its ban\n"
	 "  --json           with ls: one JSON object per line\n"},
	{"guard", cli_guard, "stats|rules|reset [RULE]", "what the guard lets in and what not",
	 "  stats            where it works, how close its limits are, and its verdicts: on\n"
	 "                   connection attempts in the kernel, on connections at accept\n"
	 "  rules            the rules and how often each one matched, by listener if there are\n"
	 "                   several\n"
	 "  reset [RULE]     count anew what these show, of one rule or of everything; the sums\n"
	 "                   since the start (kernel_total, accept_total) go on\n"
	 "  --json           with stats and rules: JSON, as the control API gives it\n"},
	{"doctor", cli_doctor, "", "look for what is wrong",
	 "  --json           one JSON object per line: ok, finding and, where it is wrong, "
	 "advice\n"},
	{"version", cli_version, "", "versions of this program and its libraries", ""},
	{"help", cli_help, "[VERB]", "this text, or that of a verb", ""},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct cli_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static void print_help(void)
{
	printf("usage: callhome [--socket PATH] VERB [ARGUMENTS]\n\n"
	       "Looks at callhomed, a NETCONF call home collector, and its devices.\n\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-8s %-32s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
	printf("\n"
	       "  --socket PATH    control socket of callhomed; else the environment's\n"
	       "                   CALLHOME_SOCKET, else " DEFAULT_SOCKET "\n"
	       "  --version, --help\n\n"
	       "'callhome VERB --help' tells more. NO_COLOR switches colours off.\n\n"
	       "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 callhomed cannot be reached,\n"
	       "4 device unknown or not connected, 5 rpc-error from the device,\n"
	       "130 interrupted.\n");
}

static void print_verb_help(const struct cli_verb *verb)
{
	printf("usage: callhome %s%s%s [OPTIONS]\n\n%s\n\n%s"
	       "  --socket PATH    control socket of callhomed\n"
	       "  --help           this text\n",
	       verb->name, verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary,
	       verb->help);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return cli_fail(cli, CLI_USAGE, "%s; see 'callhome %s%s--help'", text,
			cli->verb != NULL ? cli->verb->name : "", cli->verb != NULL ? " " : "");
}

int cli_fail(const struct cli *cli, int code, const char *fmt, ...)
{
	struct ch_buf clean = {0};
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (clean_append(&clean, text, strlen(text), cli->utf8, CLEAN_CELL) >= 0)
		fprintf(stderr, "callhome: %.*s\n", (int)clean.len, (const char *)clean.data);
	ch_buf_deinit(&clean);
	return code;
}

int cli_next(struct cli *cli, int argc, char **argv, const char *letters,
	     const struct option *options)
{
	for (;;) {
		int option = getopt_long(argc, argv, letters, options, NULL);

		switch (option) {
		case 'S':
			cli->socket = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'h':
			print_verb_help(cli->verb);
			cli->exit = CLI_OK;
			return CLI_STOP;
		case '?':
			fprintf(stderr, "see 'callhome %s --help'\n", cli->verb->name);
			cli->exit = CLI_USAGE;
			return CLI_STOP;
		default:
			return option;
		}
	}
}

bool cli_one_argument(struct cli *cli, int argc, char **argv, const char *what, int *code)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP) {
		*code = cli->exit;
		return false;
	}
	if (optind + 1 == argc)
		return true;
	*code = cli_usage(cli, "name one %s", what);
	return false;
}

int cli_act(struct cli *cli, int argc, char **argv, const struct cli_action *actions)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};

	for (const struct cli_action *action = actions; argc > 1 && action->name != NULL;
	     action++) {
		if (strcmp(argv[1], action->name) == 0) {
			argv[1] = argv[0]; /* getopt begins its complaints with it */
			return action->run(cli, argc - 1, argv + 1);
		}
	}
	if (cli_next(cli, argc, argv, "+", options) == CLI_STOP)
		return cli->exit;
	if (optind == argc)
		return cli_usage(cli, "say what to do: %s", cli->verb->arguments);
	return cli_usage(cli, "'%s' is none of: %s", argv[optind], cli->verb->arguments);
}

static int cli_version(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	printf("%s\nlibcurl %s, jansson %s\n", ch_version(),
	       curl_version_info(CURLVERSION_NOW)->version, jansson_version_str());
	return CLI_OK;
}

static int cli_help(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};
	const struct cli_verb *verb;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind == argc) {
		print_help();
		return CLI_OK;
	}
	verb = find_verb(argv[optind]);
	if (verb == NULL || optind + 1 < argc)
		return cli_usage(cli, "there is no verb '%s'", argv[argc - 1]);
	print_verb_help(verb);
	return CLI_OK;
}

/** Nothing is half done here that would need cleaning up. */
static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_INTERRUPTED);
}

static void look_around(struct cli *cli)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct sigaction action = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &action, NULL);
	setlocale(LC_CTYPE, "");
	cli->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	cli->terminal = isatty(STDOUT_FILENO) == 1;
	cli->colour = cli->terminal && (no_colour == NULL || no_colour[0] == '\0') &&
		      term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
	cli->socket = getenv("CALLHOME_SOCKET");
	if (cli->socket == NULL || cli->socket[0] == '\0')
		cli->socket = DEFAULT_SOCKET;
}

/** A result that did not get through to the reader is a failure. */
static int finish(const struct cli *cli, int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return cli_fail(cli, CLI_FAILED, "cannot write the output: %s", strerror(errno));
}

/** Options before the verb. @return -1: go on with the verb at optind; else the exit code */
static int global_options(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"version", no_argument, NULL, 'V'},
						CLI_COMMON_OPTIONS};
	int option;

	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'S':
			cli->socket = optarg;
			break;
		case 'V':
			printf("%s\n", ch_version());
			return CLI_OK;
		case 'h':
			print_help();
			return CLI_OK;
		default:
			fputs("see 'callhome --help'\n", stderr);
			return CLI_USAGE;
		}
	}
	return -1;
}

int ch_cli(int argc, char **argv)
{
	static char program[] = "callhome";
	struct cli cli = {0};
	int first;
	int code;

	look_around(&cli);
	if (argc > 0)
		argv[0] = program; /* getopt begins its complaints with it */
	code = global_options(&cli, argc, argv);
	if (code >= 0)
		return finish(&cli, code);
	first = optind;
	if (first >= argc)
		return cli_usage(&cli, "a verb is missing");
	cli.verb = find_verb(argv[first]);
	if (cli.verb == NULL)
		return cli_usage(&cli, "there is no verb '%s'", argv[first]);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	argv[first] = program;
	optind = 0; /* getopt of glibc starts afresh */
	code = cli.verb->run(&cli, argc - first, argv + first);
	curl_global_cleanup();
	return finish(&cli, code);
}
