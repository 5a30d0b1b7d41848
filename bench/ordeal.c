/* SPDX-License-Identifier: Apache-2.0 */
#include "ordeal.h"

void sim_hist_since(struct ch_hist *later, const struct ch_hist *before)
{
	for (size_t i = 0; i < CH_HIST_BUCKETS; i++)
		later->counts[i] -= before->counts[i];
	later->total -= before->total;
	later->sum -= before->sum;
}

static double p_ms(const struct ch_hist *hist, double percent)
{
	return (double)ch_hist_percentile(hist, percent) / 1000;
}

static void judge_latency(struct sim_ordeal *ordeal, const char *what, const struct ch_hist *quiet,
			  const struct ch_hist *under)
{
	double before = p_ms(quiet, 99), now = p_ms(under, 99);

	if (under->total == 0)
		sim_failures_add(&ordeal->failures, "no %s during the attack", what);
	else if (now > SIM_ORDEAL_SLOWDOWN * before)
		sim_failures_add(&ordeal->failures, "%s p99 %.1f ms, %.1f ms when it is quiet",
				 what, now, before);
}

static void judge_fleet(struct sim_ordeal *ordeal)
{
	struct sim_failures *failures = &ordeal->failures;

	if (ordeal->up != ordeal->devices)
		sim_failures_add(failures, "%llu of %llu devices are up at the end",
				 (unsigned long long)ordeal->up,
				 (unsigned long long)ordeal->devices);
	if (ordeal->cut > 0)
		sim_failures_add(failures, "%llu sessions were cut",
				 (unsigned long long)ordeal->cut);
	if (ordeal->logins != ordeal->calls)
		sim_failures_add(failures, "%llu of %llu calls got in",
				 (unsigned long long)ordeal->logins,
				 (unsigned long long)ordeal->calls);
	if (ordeal->spooled != ordeal->sent)
		sim_failures_add(failures, "%llu of %llu notifications are in the spool",
				 (unsigned long long)ordeal->spooled,
				 (unsigned long long)ordeal->sent);
	if (ordeal->held > 0)
		sim_failures_add(failures, "%llu notifications could not be sent",
				 (unsigned long long)ordeal->held);
	if (ordeal->rpcs_failed > 0)
		sim_failures_add(failures, "%llu rpcs failed",
				 (unsigned long long)ordeal->rpcs_failed);
}

void sim_ordeal_judge(struct sim_ordeal *ordeal)
{
	uint64_t before = ordeal->quiet.memory_kib, after = ordeal->under.memory_kib;

	if (ordeal->skipped)
		return;
	if (ordeal->attempts == 0)
		sim_failures_add(&ordeal->failures, "the attack made no attempt");
	judge_fleet(ordeal);
	judge_latency(ordeal, "login", &ordeal->quiet.login_us, &ordeal->under.login_us);
	judge_latency(ordeal, "rpc", &ordeal->quiet.rpc_us, &ordeal->under.rpc_us);
	if (ordeal->false_bans > 0)
		sim_failures_add(&ordeal->failures, "%llu bans of honest sources",
				 (unsigned long long)ordeal->false_bans);
	if (after > before + ordeal->memory_bound_kib)
		sim_failures_add(&ordeal->failures, "memory grew from %llu to %llu KiB",
				 (unsigned long long)before, (unsigned long long)after);
}

double sim_ordeal_cpu_us(const struct sim_ordeal *ordeal)
{
	const struct sim_figures *quiet = &ordeal->quiet, *under = &ordeal->under;
	double usual = quiet->seconds > 0 ? quiet->cpu_s / quiet->seconds * under->seconds : 0;
	double more = under->cpu_s - usual;

	return ordeal->attempts && more > 0 ? more * 1e6 / (double)ordeal->attempts : 0;
}

void sim_ordeal_head(FILE *to)
{
	fprintf(to, "%-20s %-5s %9s %11s %13s %13s %6s %9s %5s %5s %5s  %s\n", "ATTACK", "GUARD",
		"ATTEMPTS", "GOT IN", "LOGIN p99 ms", "RPC p99 ms", "LOST", "CPU/TRY", "MiB",
		"BANS", "FALSE", "");
	fprintf(to, "%-20s %-5s %9s %11s %13s %13s %6s %9s\n", "", "", "", "", "quiet/under",
		"quiet/under", "", "us");
}

void sim_ordeal_line(FILE *to, const struct sim_ordeal *ordeal)
{
	const struct sim_figures *quiet = &ordeal->quiet, *under = &ordeal->under;
	char logins[24], login[32], rpc[32];

	if (ordeal->skipped) {
		fprintf(to, "%-20s %-5s skipped: %s\n", ordeal->kind, ordeal->guard ? "on" : "off",
			ordeal->skipped);
		return;
	}
	snprintf(logins, sizeof(logins), "%llu/%llu", (unsigned long long)ordeal->logins,
		 (unsigned long long)ordeal->calls);
	snprintf(login, sizeof(login), "%.1f/%.1f", p_ms(&quiet->login_us, 99),
		 p_ms(&under->login_us, 99));
	snprintf(rpc, sizeof(rpc), "%.1f/%.1f", p_ms(&quiet->rpc_us, 99), p_ms(&under->rpc_us, 99));
	fprintf(to, "%-20s %-5s %9llu %11s %13s %13s %6lld %9.1f %5llu %5llu %5llu  %s\n",
		ordeal->kind, ordeal->guard ? "on" : "off", (unsigned long long)ordeal->attempts,
		logins, login, rpc, (long long)(ordeal->sent - ordeal->spooled),
		sim_ordeal_cpu_us(ordeal), (unsigned long long)under->memory_kib / 1024,
		(unsigned long long)ordeal->bans, (unsigned long long)ordeal->false_bans,
		ordeal->failures.count ? "MISS" : "ok");
	for (uint32_t i = 0; i < ordeal->failures.count && i < SIM_FAILURES_MAX; i++)
		fprintf(to, "%26s %s\n", "", ordeal->failures.text[i]);
}

static void put_figures(struct ch_json *json, const char *key, const struct sim_figures *figures)
{
	ch_json_object(json, key);
	ch_json_double(json, "seconds", figures->seconds);
	ch_json_uint(json, "logins", figures->login_us.total);
	ch_json_double(json, "login_p50_ms", p_ms(&figures->login_us, 50));
	ch_json_double(json, "login_p99_ms", p_ms(&figures->login_us, 99));
	ch_json_uint(json, "rpcs", figures->rpc_us.total);
	ch_json_double(json, "rpc_p99_ms", p_ms(&figures->rpc_us, 99));
	ch_json_double(json, "collector_cpu_s", figures->cpu_s);
	ch_json_uint(json, "memory_peak_kib", figures->memory_kib);
	ch_json_object_end(json);
}

static void put_attack(struct ch_json *json, const struct sim_ordeal *ordeal)
{
	ch_json_double(json, "rate", ordeal->rate);
	ch_json_uint(json, "connections", ordeal->connections);
	ch_json_uint(json, "attempts", ordeal->attempts);
	ch_json_uint(json, "connected", ordeal->connected);
	ch_json_uint(json, "refused", ordeal->refused);
	ch_json_uint(json, "timed_out", ordeal->timed_out);
	ch_json_uint(json, "closed_by_target", ordeal->closed_by_target);
	ch_json_uint(json, "held_peak", ordeal->held_peak);
	ch_json_double(json, "attack_s", ordeal->attack_s);
	ch_json_double(json, "attacker_cpu_s", ordeal->attacker_cpu_s);
}

void sim_ordeal_json(struct ch_json *json, const char *key, const struct sim_ordeal *ordeal)
{
	const struct sim_failures *failures = &ordeal->failures;

	ch_json_object(json, key);
	if (ordeal->skipped) {
		ch_json_str(json, "skipped", ordeal->skipped);
		ch_json_object_end(json);
		return;
	}
	ch_json_str(json, "result", failures->count ? "fail" : "pass");
	put_attack(json, ordeal);
	put_figures(json, "quiet", &ordeal->quiet);
	put_figures(json, "under", &ordeal->under);
	ch_json_uint(json, "devices", ordeal->devices);
	ch_json_uint(json, "up", ordeal->up);
	ch_json_uint(json, "sessions_cut", ordeal->cut);
	ch_json_uint(json, "calls", ordeal->calls);
	ch_json_uint(json, "logins", ordeal->logins);
	ch_json_uint(json, "notifications_sent", ordeal->sent);
	ch_json_uint(json, "notifications_spooled", ordeal->spooled);
	ch_json_uint(json, "rpcs_failed", ordeal->rpcs_failed);
	ch_json_double(json, "cpu_per_attempt_us", sim_ordeal_cpu_us(ordeal));
	ch_json_uint(json, "bans", ordeal->bans);
	ch_json_uint(json, "false_bans", ordeal->false_bans);
	ch_json_array(json, "failures");
	for (uint32_t i = 0; i < failures->count && i < SIM_FAILURES_MAX; i++)
		ch_json_str(json, NULL, failures->text[i]);
	ch_json_array_end(json);
	ch_json_object_end(json);
}

static double got_in_percent(const struct sim_ordeal *ordeal)
{
	return ordeal->calls > 0 ? 100.0 * (double)ordeal->logins / (double)ordeal->calls : 0;
}

static double quiet_ms(const struct sim_ordeal *ordeal)
{
	return p_ms(&ordeal->quiet.login_us, 99);
}

static double under_ms(const struct sim_ordeal *ordeal)
{
	return p_ms(&ordeal->under.login_us, 99);
}

/* A block of "KIND" VALUE lines; a log axis has no zero. */
static void plot_block(FILE *to, const char *name, const struct sim_ordeal *ordeals, size_t count,
		       bool guard, double (*value_of)(const struct sim_ordeal *ordeal))
{
	fprintf(to, "$%s << END\n", name);
	for (size_t i = 0; i < count; i++) {
		if (ordeals[i].guard != guard || ordeals[i].skipped)
			continue;
		double value = value_of(&ordeals[i]);
		fprintf(to, "\"%s\" %.3f\n", ordeals[i].kind, value > 0.1 ? value : 0.1);
	}
	fprintf(to, "END\n");
}

void sim_ordeal_plot(FILE *to, const struct sim_ordeal *ordeals, size_t count, const char *svg)
{
	plot_block(to, "in_off", ordeals, count, false, got_in_percent);
	plot_block(to, "in_on", ordeals, count, true, got_in_percent);
	plot_block(to, "off", ordeals, count, false, under_ms);
	plot_block(to, "on", ordeals, count, true, under_ms);
	plot_block(to, "quiet", ordeals, count, true, quiet_ms);
	fprintf(to,
		"set terminal svg size 1000,760 font 'sans,12' background '#ffffff'\n"
		"set output '%s'\n"
		"set multiplot layout 2,1\n"
		"set grid ytics\n"
		"set style data histograms\n"
		"set style histogram clustered gap 1\n"
		"set style fill solid border -1\n"
		"set xtics rotate by -40 noenhanced\n"
		"set rmargin 9\n" /* the last label leans to the right */
		"set key outside right top horizontal\n"
		"set title 'Calls of the honest fleet that got in at the first attempt'\n"
		"set ylabel '%%'\n"
		"set yrange [0:105]\n"
		"plot $in_off using 2:xtic(1) title 'guard off' lc rgb '#d1495b', "
		"$in_on using 2 title 'guard on' lc rgb '#30638e'\n"
		"set title 'Login p99 of those that got in'\n"
		"set ylabel 'ms'\n"
		"set logscale y\n"
		"set yrange [0.5:*]\n"
		"plot $quiet using 2:xtic(1) title 'quiet' lc rgb '#9bb0c1', "
		"$off using 2 title 'guard off' lc rgb '#d1495b', "
		"$on using 2 title 'guard on' lc rgb '#30638e'\n"
		"unset multiplot\n",
		svg);
}
