/* SPDX-License-Identifier: Apache-2.0 */
#include "expiry.h"

#include "publish.h"

#define SECOND_NS 1000000000ull
#define DAY_S 86400
/* Lines and events of one look. Whoever has more that end at a time finds them in the status. */
#define TOLD_MAX 20

int64_t ch_expiry_days(int64_t not_after, uint64_t unix_ns)
{
	int64_t now = (int64_t)(unix_ns / SECOND_NS);

	/* Before 1970, or no date at all: ended. */
	if (not_after < 0)
		not_after = 0;
	return not_after > now ? (not_after - now) / DAY_S : -1 - (now - not_after) / DAY_S;
}

void ch_expiry_view(const struct ch_config *config, uint64_t unix_ns, struct ch_expiry_view *view)
{
	*view = (struct ch_expiry_view){INT64_MAX, INT64_MAX};
	for (size_t i = 0; i < config->certificate_count; i++) {
		const struct ch_config_certificate *c = &config->certificates[i];
		int64_t days = ch_expiry_days(c->facts.not_after, unix_ns);
		int64_t *least = c->anchor ? &view->anchor_days : &view->credential_days;

		if (days < *least)
			*least = days;
	}
}

static void tell(struct ch_worker *w, const struct ch_config_certificate *c, int64_t days)
{
	const char *event =
		ch_event_name(c->anchor ? CH_EVENT_ANCHOR_EXPIRING : CH_EVENT_CREDENTIAL_EXPIRING);

	ch_log(&w->shared->log, CH_LOG_WARNING,
	       "event=%s %s=%s option=%s subject=\"%s\" days-left=%lld", event,
	       c->anchor ? "manufacturer" : "credential", c->owner, c->option, c->facts.subject,
	       (long long)days);
	ch_publish_expiring(w, c, days);
}

void ch_expiry_turn(struct ch_worker *w)
{
	const struct ch_config *config = w->policy->config;
	uint64_t expiring = 0;

	if (w->unix_ns < w->expiry_ns)
		return;
	w->expiry_ns = w->unix_ns + DAY_S * SECOND_NS;
	for (size_t i = 0; i < config->certificate_count; i++) {
		const struct ch_config_certificate *c = &config->certificates[i];
		int64_t days = ch_expiry_days(c->facts.not_after, w->unix_ns);

		if (days >= CH_EXPIRY_DAYS)
			continue;
		if (++expiring <= TOLD_MAX)
			tell(w, c, days);
	}
	if (expiring > TOLD_MAX)
		ch_log(&w->shared->log, CH_LOG_WARNING, "event=log-limited skipped=%llu",
		       (unsigned long long)(expiring - TOLD_MAX));
	ch_set(&w->stats.expiring, expiring);
}
