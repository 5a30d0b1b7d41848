/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/timer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ULL
#define DAY (86400000 * MS)

static struct ch_wheel wheel;
static struct ch_timer *fired[8];
static unsigned fired_count;

static void note(struct ch_timer *timer, void *ctx)
{
	(void)ctx;
	cr_assert_not(ch_timer_armed(timer));
	if (fired_count < 8)
		fired[fired_count] = timer;
	fired_count++;
}

static uint64_t expire(uint64_t now_ns)
{
	fired_count = 0;
	return ch_wheel_expire(&wheel, now_ns, note, NULL);
}

Test(timer, an_empty_wheel_has_nothing_to_do)
{
	ch_wheel_init(&wheel, 5 * MS);
	cr_assert_eq(ch_wheel_next(&wheel), UINT64_MAX);
	cr_assert_eq(expire(UINT64_MAX), 0);
	cr_assert_eq(wheel.armed, 0);
}

Test(timer, fires_at_the_millisecond_never_before)
{
	struct ch_timer timer = {0};

	ch_wheel_init(&wheel, 0);
	ch_wheel_add(&wheel, &timer, 10 * MS);
	cr_assert(ch_timer_armed(&timer));
	cr_assert_eq(ch_wheel_next(&wheel), 10 * MS);
	cr_assert_eq(expire(10 * MS - 1), 0);
	cr_assert_eq(expire(10 * MS), 1);
	cr_assert_eq(wheel.armed, 0);

	ch_wheel_add(&wheel, &timer, 20 * MS + 1);
	cr_assert_eq(ch_wheel_next(&wheel), 21 * MS, "rounded up");
	cr_assert_eq(expire(21 * MS - 1), 0);
	cr_assert_eq(expire(21 * MS), 1);
}

Test(timer, a_past_deadline_fires_on_the_next_call_even_if_the_clock_stands)
{
	struct ch_timer past = {0};
	struct ch_timer now = {0};

	ch_wheel_init(&wheel, 100 * MS);
	ch_wheel_add(&wheel, &past, 3);
	ch_wheel_add(&wheel, &now, 100 * MS);
	cr_assert_eq(ch_wheel_next(&wheel), 0);
	cr_assert_eq(expire(100 * MS), 2);
}

Test(timer, a_clock_that_goes_back_fires_nothing_twice_nor_early)
{
	struct ch_timer timer = {0};

	ch_wheel_init(&wheel, 1000 * MS);
	ch_wheel_add(&wheel, &timer, 1500 * MS);
	cr_assert_eq(expire(1400 * MS), 0);
	cr_assert_eq(expire(200 * MS), 0);
	cr_assert_eq(expire(1499 * MS), 0);
	cr_assert_eq(expire(1500 * MS), 1);
	cr_assert_eq(expire(1500 * MS), 0);
}

Test(timer, cancel_disarms_and_is_harmless_twice)
{
	struct ch_timer a = {0};
	struct ch_timer b = {0};

	ch_wheel_init(&wheel, 0);
	ch_wheel_add(&wheel, &a, 5 * MS);
	ch_wheel_add(&wheel, &b, 5 * MS);
	ch_wheel_cancel(&wheel, &a);
	ch_wheel_cancel(&wheel, &a);
	cr_assert_not(ch_timer_armed(&a));
	cr_assert_eq(wheel.armed, 1);
	ch_wheel_cancel(&wheel, &b);
	cr_assert_eq(ch_wheel_next(&wheel), UINT64_MAX, "an emptied slot wakes nobody");
	cr_assert_eq(expire(10 * MS), 0);
}

Test(timer, adding_an_armed_timer_moves_it)
{
	struct ch_timer timer = {0};

	ch_wheel_init(&wheel, 0);
	ch_wheel_add(&wheel, &timer, 5 * MS);
	ch_wheel_add(&wheel, &timer, 5000 * MS);
	cr_assert_eq(wheel.armed, 1);
	cr_assert_eq(expire(4999 * MS), 0);
	cr_assert_eq(expire(5000 * MS), 1);
}

Test(timer, fires_in_the_order_of_the_milliseconds)
{
	static const uint64_t at[] = {70, 3, 300000, 4096, 64, 65, 1};
	static const int order[] = {6, 1, 4, 5, 0, 3, 2};
	struct ch_timer timers[7];

	memset(timers, 0, sizeof(timers));
	ch_wheel_init(&wheel, 0);
	for (int i = 0; i < 7; i++)
		ch_wheel_add(&wheel, &timers[i], at[i] * MS);
	cr_assert_eq(expire(400000 * MS), 7);
	for (int i = 0; i < 7; i++)
		cr_assert_eq(fired[i], &timers[order[i]], "place %d", i);
}

Test(timer, holds_deadlines_beyond_its_range)
{
	static const uint64_t days[] = {11, 12, 13, 25, 400, 36500};
	struct ch_timer timers[6];
	struct ch_timer never = {0};
	uint64_t start = 17 * DAY + 123;

	memset(timers, 0, sizeof(timers));
	ch_wheel_init(&wheel, start);
	ch_wheel_add(&wheel, &never, UINT64_MAX);
	for (int i = 0; i < 6; i++)
		ch_wheel_add(&wheel, &timers[i], start + days[i] * DAY);
	for (int i = 0; i < 6; i++) {
		cr_assert_eq(expire(start + days[i] * DAY - MS), 0, "%d days", (int)days[i]);
		cr_assert_leq(ch_wheel_next(&wheel), start + days[i] * DAY + MS);
		cr_assert_eq(expire(start + days[i] * DAY + MS), 1);
		cr_assert_eq(fired[0], &timers[i]);
	}
	cr_assert_eq(wheel.armed, 1);
	ch_wheel_cancel(&wheel, &never);
}

Test(timer, following_next_leads_to_every_deadline_in_few_steps)
{
	struct ch_timer timer = {0};
	uint64_t deadline = 5 * DAY + 7 * MS;
	unsigned steps = 0;

	ch_wheel_init(&wheel, 3 * MS);
	ch_wheel_add(&wheel, &timer, deadline);
	for (;;) {
		uint64_t next = ch_wheel_next(&wheel);

		cr_assert_leq(next, deadline);
		steps++;
		if (expire(next) == 1)
			break;
		cr_assert_lt(steps, CH_WHEEL_LEVELS);
	}
	cr_assert_leq(steps, CH_WHEEL_LEVELS);
}

static struct ch_timer other;

static void add_again(struct ch_timer *timer, void *ctx)
{
	(void)ctx;
	ch_wheel_add(&wheel, timer, timer->deadline_ns + MS);
	ch_wheel_add(&wheel, &other, 0);
}

Test(timer, what_a_handler_adds_fires_in_a_later_call)
{
	struct ch_timer timer = {0};

	memset(&other, 0, sizeof(other));
	ch_wheel_init(&wheel, 0);
	ch_wheel_add(&wheel, &timer, MS);
	cr_assert_eq(ch_wheel_expire(&wheel, 1000 * MS, add_again, NULL), 1);
	cr_assert_eq(ch_wheel_next(&wheel), 0);
	cr_assert_eq(expire(1000 * MS), 2);
	cr_assert_eq(wheel.armed, 0);
}

static struct ch_timer pair[2];

static void cancel_the_other(struct ch_timer *timer, void *ctx)
{
	(void)ctx;
	ch_wheel_cancel(&wheel, timer == &pair[0] ? &pair[1] : &pair[0]);
}

Test(timer, a_handler_may_cancel_a_timer_that_is_due_too)
{
	for (uint64_t gap = 0; gap < 2; gap++) {
		memset(pair, 0, sizeof(pair));
		ch_wheel_init(&wheel, 0);
		ch_wheel_add(&wheel, &pair[0], 5 * MS);
		ch_wheel_add(&wheel, &pair[1], (5 + gap) * MS);
		cr_assert_eq(ch_wheel_expire(&wheel, 10 * MS, cancel_the_other, NULL), 1);
		cr_assert_eq(wheel.armed, 0);
		cr_assert_eq(ch_wheel_next(&wheel), UINT64_MAX);
	}
}

/* Against a plain table of deadlines: random adds, cancels and jumps of the clock. */

#define TIMERS 200

struct model {
	struct ch_timer timers[TIMERS];
	uint64_t deadline[TIMERS]; /**< 0 = not armed */
	uint64_t now_ns;
	uint64_t armed;
	unsigned seed;
};

static uint64_t random64(struct model *m)
{
	return (uint64_t)rand_r(&m->seed) << 31 | (uint64_t)rand_r(&m->seed);
}

/** Mostly near, sometimes very far: every level and the overflow are used. */
static uint64_t random_span(struct model *m)
{
	return random64(m) % (1ULL << (random64(m) % 52 + 1));
}

static uint64_t rounded_up(uint64_t ns)
{
	return (ns + MS - 1) / MS * MS;
}

static void check_fire(struct ch_timer *timer, void *ctx)
{
	struct model *m = ctx;
	size_t i = (size_t)(timer - m->timers);

	cr_assert_neq(m->deadline[i], 0, "timer %zu was not armed", i);
	cr_assert_leq(rounded_up(m->deadline[i]), m->now_ns, "early");
	m->deadline[i] = 0;
	m->armed--;
}

static void model_step(struct model *m)
{
	size_t i = random64(m) % TIMERS;
	uint64_t earliest = UINT64_MAX;

	switch (random64(m) % 4) {
	case 0:
	case 1:
		m->armed += m->deadline[i] == 0;
		m->deadline[i] = m->now_ns + random_span(m) + 1;
		if (random64(m) % 16 == 0)
			m->deadline[i] = m->now_ns / 2 + 1;
		ch_wheel_add(&wheel, &m->timers[i], m->deadline[i]);
		break;
	case 2:
		m->armed -= m->deadline[i] != 0;
		m->deadline[i] = 0;
		ch_wheel_cancel(&wheel, &m->timers[i]);
		break;
	default:
		m->now_ns += random64(m) % 8 == 0 ? random_span(m) : random64(m) % (20 * MS);
		ch_wheel_expire(&wheel, m->now_ns, check_fire, m);
		if (random64(m) % 4 == 0) /* the clock goes back */
			ch_wheel_expire(&wheel, random64(m) % m->now_ns, check_fire, m);
		for (size_t k = 0; k < TIMERS; k++)
			cr_assert(m->deadline[k] == 0 || rounded_up(m->deadline[k]) > m->now_ns,
				  "timer %zu is late", k);
		break;
	}
	for (size_t k = 0; k < TIMERS; k++) {
		if (m->deadline[k] != 0 && m->deadline[k] < earliest)
			earliest = m->deadline[k];
	}
	cr_assert_eq(wheel.armed, m->armed);
	if (earliest == UINT64_MAX)
		cr_assert_eq(ch_wheel_next(&wheel), UINT64_MAX);
	else
		cr_assert_leq(ch_wheel_next(&wheel), rounded_up(earliest));
}

Test(timer, behaves_like_a_sorted_list)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct model *m = calloc(1, sizeof(*m));

		m->seed = seed;
		m->now_ns = random_span(m);
		ch_wheel_init(&wheel, m->now_ns);
		for (int step = 0; step < 5000; step++)
			model_step(m);
		free(m);
	}
}
