/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "kernel/sock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CLOSE_NS 2000000000ull /* for the last bytes of a closing session to be taken */
#define BURST 16	       /* notifications a late timer sends at once */

static uint64_t user_data(const struct call *call, enum call_op op)
{
	return ch_user_data((uint8_t)op, call->generation, call->slot);
}

static bool in_flight(const struct call *call, enum call_op op)
{
	return call->inflight & 1u << op;
}

/* Notes that @op was queued; a ring that refuses work ends the fleet. */
static void queued(struct sim_fleet *fleet, struct call *call, enum call_op op, int err)
{
	if (err)
		fleet->error = err;
	else
		call->inflight |= (uint16_t)(1u << op);
}

static void arm(struct sim_fleet *fleet, struct call *call, uint64_t deadline_ns)
{
	ch_wheel_add(&fleet->wheel, &call->timer, deadline_ns);
}

static bool is_quiet(const struct sim_fleet *fleet)
{
	return fleet->command != SIM_COMMAND_RUN;
}

/* Exponential, with half of it jitter, so that a fleet does not come back as one. */
static uint64_t backoff_ns(struct sim_fleet *fleet, uint32_t attempts)
{
	uint64_t delay = fleet->options.backoff_min_ns;

	for (uint32_t i = 1; i < attempts && delay < fleet->options.backoff_max_ns; i++)
		delay *= 2;
	if (delay > fleet->options.backoff_max_ns)
		delay = fleet->options.backoff_max_ns;
	return delay / 2 + sim_random(fleet, delay / 2 + 1);
}

/*
 * The reconnect strategy of ietf-netconf-server: after max-attempts the next target has its turn,
 * and a session that was up begins it anew. Periodic connections then wait for their time.
 */
static void call_again(struct sim_fleet *fleet, struct call *call, bool was_up, uint64_t now_ns)
{
	const struct sim_fleet_options *options = &fleet->options;

	if (!options->reconnect || is_quiet(fleet)) {
		call->phase = CALL_DONE;
		return;
	}
	call->phase = CALL_WAITING;
	if (was_up) {
		call->attempts = 0;
		call->target = (uint8_t)sim_schedule_target(
			(enum sim_start_with)options->start_with, call->target,
			options->target_count, sim_random(fleet, UINT32_MAX));
	} else if (++call->attempts % options->max_attempts == 0) {
		call->target = (uint8_t)((call->target + 1u) % options->target_count);
	}
	if (was_up && options->connection == SIM_CONNECTION_PERIODIC) {
		call->period_ns = sim_schedule_next(call->period_ns, options->period_ns, now_ns);
		arm(fleet, call, call->period_ns);
		return;
	}
	arm(fleet, call, now_ns + backoff_ns(fleet, call->attempts));
}

/* The socket is gone and nothing of it is in flight. */
static void gone(struct sim_fleet *fleet, struct call *call)
{
	struct sim_counters *counters = &fleet->shared.counters;
	bool was_up = call->logged_in;

	if (fleet->options.attack)
		call_attack_count(fleet, call);
	fleet->open--;
	call->file.index = -1;
	call->generation = (call->generation + 1) & 0xffffff;
	call->notifying = false;
	call->logged_in = false;
	call->half_closed = false;
	call->lingering = false;
	call->started = false;
	call->peer_gone = false;
	call->paused = false;
	call->reached = false;
	call->flight_at = 0;
	ch_buf_deinit(&call->flight);
	ch_buf_deinit(&call->beat);
	free(call->message);
	call->message = NULL;
	call->updating = false;
	sim_device_reset(&call->device);
	if (fleet->options.attack) {
		call_attack_free(fleet, call);
		return;
	}
	if (call->device.impostor) {
		call->phase = CALL_DONE;
		/* not reached, or not ended in time */
		if (call->end == SIM_END_STOPPED || !fleet->impostors[call->impostor].called) {
			counters->impostors_left++;
		} else {
			counters->impostors_ended++;
			fleet->impostors[call->impostor].ended = true;
		}
		return;
	}
	counters->ends[call->end]++;
	call_again(fleet, call, was_up, ch_now_ns());
}

/* Once nothing is in flight the socket is closed: a descriptor at once, a slot through the ring. */
static void close_when_idle(struct sim_fleet *fleet, struct call *call)
{
	if (call->inflight || call->cancels || call->queued)
		return;
	if (call->file.fixed) {
		queued(fleet, call, CALL_OP_CLOSE,
		       fleet->ring->ops->close(fleet->ring, call->file,
					       user_data(call, CALL_OP_CLOSE)));
		return;
	}
	if (call->device.abort)
		ch_sock_reset(call->file.index);
	else
		ch_sock_close(call->file.index);
	gone(fleet, call);
}

static void cancel(struct sim_fleet *fleet, struct call *call, enum call_op op)
{
	if (!in_flight(call, op))
		return;
	int err = fleet->ring->ops->cancel(fleet->ring, user_data(call, op),
					   user_data(call, CALL_OP_CANCEL));
	if (err)
		fleet->error = err;
	else
		call->cancels++;
}

static void end_call(struct sim_fleet *fleet, struct call *call, enum sim_end end)
{
	if (call->phase == CALL_ENDING)
		return;
	call->phase = CALL_ENDING;
	call->end = (uint8_t)end;
	ch_wheel_cancel(&fleet->wheel, &call->timer);
	cancel(fleet, call, CALL_OP_CONNECT);
	cancel(fleet, call, CALL_OP_READ);
	cancel(fleet, call, CALL_OP_RECV);
	cancel(fleet, call, CALL_OP_SEND);
	cancel(fleet, call, CALL_OP_RECORD);
	close_when_idle(fleet, call);
}

/* A record of another type than data, through kernel TLS. */
static void send_record(struct sim_fleet *fleet, struct call *call, uint8_t type,
			const uint8_t *data, size_t len)
{
	if (call->message == NULL)
		call->message = malloc(sizeof(*call->message));
	if (call->message == NULL)
		return;
	queued(fleet, call, CALL_OP_RECORD,
	       fleet->ring->ops->send_record(fleet->ring, call->file, type, data, (uint32_t)len,
					     call->message, user_data(call, CALL_OP_RECORD)));
}

/* Behind everything else. */
static void send_close_notify(struct sim_fleet *fleet, struct call *call)
{
	static const uint8_t close_notify[2] = {1, CH_ALERT_CLOSE_NOTIFY};

	call->device.say_close = false;
	send_record(fleet, call, CH_RECORD_ALERT, close_notify, sizeof(close_notify));
}

/* Before what waits; our keys change right behind it. */
static void send_key_update(struct sim_fleet *fleet, struct call *call)
{
	static const uint8_t key_update[2][5] = {{24, 0, 0, 1, 0}, {24, 0, 0, 1, 1}};

	call->device.say_update = false;
	call->updating = true;
	send_record(fleet, call, CH_RECORD_HANDSHAKE, key_update[call->device.say_asks], 5);
}

/* The next generation of keys of a direction that is the kernel's. */
static void rekey(struct sim_fleet *fleet, struct call *call, enum ch_ktls_direction direction)
{
	if (call_rekey(fleet, call, direction) != 0)
		end_call(fleet, call, SIM_END_LOCAL);
}

static void rekeyed(struct sim_fleet *fleet, struct call *call, enum ch_ktls_direction direction,
		    int result)
{
	call_drop_keys(call, direction);
	if (result < 0 && call->phase == CALL_CONNECTED)
		end_call(fleet, call, SIM_END_LOCAL);
}

static void send_heartbeat(struct sim_fleet *fleet, struct call *call)
{
	ch_buf_deinit(&call->beat);
	call->beat = call->device.beat;
	call->device.beat = (struct ch_buf){0};
	send_record(fleet, call, CH_RECORD_HEARTBEAT, call->beat.data, call->beat.len);
}

/* One SEND in flight; what is said meanwhile waits in device.out. */
static void flush(struct sim_fleet *fleet, struct call *call)
{
	struct ch_buf *out = &call->device.out;

	uint32_t most = UINT32_MAX;

	if (in_flight(call, CALL_OP_SEND) || in_flight(call, CALL_OP_RECORD) ||
	    in_flight(call, CALL_OP_REKEY_TX) || call->paused)
		return;
	if (call->flight_at == call->flight.len) {
		if (call->device.say_update) {
			send_key_update(fleet, call);
			return;
		}
		if (call->device.beat.len > 0) {
			send_heartbeat(fleet, call);
			return;
		}
		if (out->len == 0 && call->device.say_close)
			send_close_notify(fleet, call);
		if (out->len == 0)
			return;
		struct ch_buf sent = call->flight;
		call->flight = *out;
		*out = sent;
		out->len = 0;
		call->flight_at = 0;
	}
	if (call->device.impostor && call->device.impostor->drip)
		most = 1;
	if (call->flight.len - call->flight_at < most)
		most = (uint32_t)(call->flight.len - call->flight_at);
	queued(fleet, call, CALL_OP_SEND,
	       fleet->ring->ops->send(fleet->ring, call->file, call->flight.data + call->flight_at,
				      most, user_data(call, CALL_OP_SEND)));
}

static bool sends(const struct call *call)
{
	return in_flight(call, CALL_OP_SEND) || in_flight(call, CALL_OP_RECORD) ||
	       in_flight(call, CALL_OP_REKEY_TX) || call->device.say_update ||
	       call->flight_at < call->flight.len || call->device.out.len > 0 ||
	       call->device.beat.len > 0 || call->device.say_close;
}

/* Handshake: the next bytes of a record, or a place in the queue of steps. */
static void read_handshake(struct sim_fleet *fleet, struct call *call)
{
	uint32_t len = 0;

	if (in_flight(call, CALL_OP_READ) || call->queued)
		return;
	void *into = sim_device_want(&call->device, &len);
	if (into) {
		queued(fleet, call, CALL_OP_READ,
		       fleet->ring->ops->recv_exact(fleet->ring, call->file, into, len,
						    user_data(call, CALL_OP_READ)));
		return;
	}
	call->queued = true;
	call->next_step = NULL;
	*fleet->steps_tail = call;
	fleet->steps_tail = &call->next_step;
}

static struct ch_layer_plan layer_plan(const struct sim_fleet *fleet, const struct call *call)
{
	const struct ch_record_keys *keys = &call->device.record.keys;

	if (!call->ulp || call->device.impostor)
		return (struct ch_layer_plan){.why = CH_WHY_POLICY};
	return ch_layer_plan((enum ch_layer_policy)fleet->options.record_layer, &fleet->ktls,
			     keys->version, keys->aead);
}

/* The keys go on where the user layer stopped: it sealed our hello already. */
static void hand_over(struct sim_fleet *fleet, struct call *call)
{
	struct sim_device *device = &call->device;
	struct ch_layer_plan plan = layer_plan(fleet, call);
	const struct ch_record_keys *keys = &device->record.keys;
	int fd = call->file.index;

	device->rx_kernel = plan.rx && ch_ktls_install(fd, CH_KTLS_RX, keys, &fleet->ktls) == 0;
	device->tx_kernel = plan.tx && ch_ktls_install(fd, CH_KTLS_TX, keys, &fleet->ktls) == 0;
	fleet->shared.counters.layers[ch_layer_of(true, device->rx_kernel, device->tx_kernel)]++;
}

/*
 * After the handshake the socket moves into the fixed table, so that a session needs no descriptor.
 * Impostors keep theirs: some need system calls that a slot does not take (shutdown, RST).
 */
static void start_receiving(struct sim_fleet *fleet, struct call *call)
{
	if (!call->started && !call->device.impostor)
		hand_over(fleet, call);
	call->started = true;
	if (fleet->options.fixed && !call->file.fixed && !call->device.impostor) {
		int err = fleet->ring->ops->install(fleet->ring, call->slot, call->file.index);
		if (err) {
			fleet->error = err;
			return;
		}
		ch_sock_close(call->file.index);
		call->file = (struct ch_file){(int32_t)call->slot, true};
	}
	queued(fleet, call, CALL_OP_RECV,
	       fleet->ring->ops->recv(fleet->ring, call->file, user_data(call, CALL_OP_RECV)));
}

static bool may_idle(const struct sim_fleet *fleet)
{
	return fleet->options.connection == SIM_CONNECTION_PERIODIC &&
	       fleet->options.idle_timeout_ns > 0;
}

/* One timer for whatever an open session waits for next. */
static void arm_session(struct sim_fleet *fleet, struct call *call)
{
	uint64_t next_ns = sim_device_test_due(&call->device);

	if (call->notifying && fleet->notify_interval_ns > 0 && call->notify_ns < next_ns)
		next_ns = call->notify_ns;
	if (may_idle(fleet) && call->active_ns + fleet->options.idle_timeout_ns < next_ns)
		next_ns = call->active_ns + fleet->options.idle_timeout_ns;
	ch_wheel_cancel(&fleet->wheel, &call->timer);
	if (next_ns != UINT64_MAX)
		arm(fleet, call, next_ns);
}

static void note_login(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	call->logged_in = true;
	if (call->device.impostor)
		return;
	arm_session(fleet, call);
	ch_hist_record(&fleet->login_us, (now_ns - call->due_ns) / 1000);
}

static void start_notifying(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	call->notifying = true;
	if (call->device.impostor || fleet->notify_interval_ns == 0)
		return;
	call->notify_ns = now_ns + sim_random(fleet, fleet->notify_interval_ns);
	arm_session(fleet, call);
}

/*
 * The last bytes (an alert, say) must arrive: a close with unread bytes of the collector would send
 * a RST behind them. So a FIN first, and the close when the collector's comes. A slot cannot do
 * that; there close_notify is an answer, and the collector has nothing left to say.
 */
static void linger(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	if (!call->lingering && !call->device.impostor)
		arm(fleet, call, now_ns + CLOSE_NS);
	call->lingering = true;
	if (sends(call))
		return;
	bool open = !call->peer_gone && !call->file.fixed && !call->device.abort;
	if (!open || (!call->half_closed && shutdown(call->file.index, SHUT_WR) != 0)) {
		end_call(fleet, call, (enum sim_end)call->device.end);
		return;
	}
	call->half_closed = true;
	if (!in_flight(call, CALL_OP_READ) && !in_flight(call, CALL_OP_RECV))
		queued(fleet, call, CALL_OP_RECV,
		       fleet->ring->ops->recv(fleet->ring, call->file,
					      user_data(call, CALL_OP_RECV)));
}

static bool has_session(const struct sim_device *device)
{
	return device->state == SIM_WAIT_HELLO || device->state == SIM_OPEN;
}

/* Does what the device's state asks for; called after everything that may have changed it. */
static void progress(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	struct sim_device *device = &call->device;

	if (call->phase == CALL_CONNECTED && device->rekey_rx) {
		device->rekey_rx = false;
		rekey(fleet, call, CH_KTLS_RX);
	}
	if (call->phase != CALL_CONNECTED)
		return;
	if (in_flight(call, CALL_OP_REKEY_RX)) {
		flush(fleet, call);
		return;
	}
	if (has_session(device) && !in_flight(call, CALL_OP_RECV) && !device->stall) {
		/* a send that is queued but not submitted still needs the descriptor */
		if (!call->file.fixed && in_flight(call, CALL_OP_SEND))
			return;
		/* and keys go into the kernel only behind everything sealed before */
		if (!call->started && sends(call) && layer_plan(fleet, call).tx) {
			flush(fleet, call);
			return;
		}
		start_receiving(fleet, call);
	}
	if (device->impostor && device->state == SIM_OPEN && !sends(call) &&
	    sim_impostor_idle(device) != 0)
		end_call(fleet, call, SIM_END_LOCAL);
	flush(fleet, call);
	if (device->state == SIM_CLOSING) {
		linger(fleet, call, now_ns);
		return;
	}
	if (device->half_close && !sends(call) && !call->half_closed) {
		call->half_closed = true;
		(void)shutdown(call->file.index, SHUT_WR);
	}
	if (sim_device_in_handshake(device)) {
		read_handshake(fleet, call);
		return;
	}
	if (device->stall)
		cancel(fleet, call, CALL_OP_RECV);
	if (device->messages != call->messages) {
		call->messages = device->messages;
		call->active_ns = now_ns;
	}
	if (device->state == SIM_OPEN && !call->logged_in)
		note_login(fleet, call, now_ns);
	if (device->subscribed && !call->notifying)
		start_notifying(fleet, call, now_ns);
}

static int dial(struct sim_fleet *fleet, struct call *call)
{
	const struct ch_address *target = &fleet->options.targets[call->target];
	int fd;
	int err = call_socket(fleet, call, &fd);

	if (err)
		return err;
	call->file = (struct ch_file){fd, false};
	fleet->open++;
	queued(fleet, call, CALL_OP_CONNECT,
	       fleet->ring->ops->connect(fleet->ring, fd, target,
					 user_data(call, CALL_OP_CONNECT)));
	return 0;
}

void call_begin(struct sim_fleet *fleet, struct call *call, uint64_t due_ns, uint64_t now_ns)
{
	struct sim_counters *counters = &fleet->shared.counters;

	call->due_ns = due_ns;
	if (call->period_ns == 0)
		call->period_ns = due_ns;
	call->end = SIM_END_NONE;
	if (fleet->options.attack)
		counters->attack.attempts++;
	else if (call->device.impostor)
		counters->impostors++;
	else
		counters->arrivals++;
	if (dial(fleet, call) == 0) {
		call->phase = CALL_CONNECTING;
		arm(fleet, call, now_ns + fleet->options.max_wait_ns);
		return;
	}
	/* no descriptor or no address free: as if the network had refused */
	if (fleet->options.attack) {
		counters->attack.failed++;
		call_attack_free(fleet, call);
		return;
	}
	if (call->device.impostor) {
		call->phase = CALL_DONE;
		counters->impostors_left++;
		return;
	}
	call->end = SIM_END_LOCAL;
	counters->ends[SIM_END_LOCAL]++;
	call_again(fleet, call, false, now_ns);
}

static enum sim_end connect_failure(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return SIM_END_REFUSED;
	case -ECONNRESET:
		return SIM_END_RESET; /* it came up, and was reset before we heard of it */
	case -ETIMEDOUT:
		return SIM_END_CONNECT_TIMEOUT;
	default:
		return SIM_END_LOCAL;
	}
}

static void on_connect(struct sim_fleet *fleet, struct call *call, int result, uint64_t now_ns)
{
	if (result < 0) {
		end_call(fleet, call, connect_failure(result));
		return;
	}
	call->phase = CALL_CONNECTED;
	call->ulp = ch_layer_wants_ulp((enum ch_layer_policy)fleet->options.record_layer,
				       &fleet->ktls) &&
		    ch_ktls_prepare(call->file.index) == 0;
	if (fleet->options.attack) {
		call_attack_reached(fleet, call, now_ns);
	} else if (call->device.impostor) {
		struct sim_impostor_view *view = &fleet->impostors[call->impostor];
		view->called = true;
		if (ch_sock_local(call->file.index, &view->local) != 0)
			view->local.family = 0;
		arm(fleet, call, now_ns + fleet->options.impostor_wait_ns);
	} else {
		ch_hist_record(&fleet->connect_us, (now_ns - call->due_ns) / 1000);
		arm(fleet, call, now_ns + fleet->options.auth_timeout_ns);
	}
	/* an error leaves the device CLOSING, which progress sees */
	(void)!sim_device_connected(&call->device);
}

static void peer_gone(struct call *call, int error)
{
	call->peer_gone = true;
	sim_device_gone(&call->device, error);
}

static void on_read(struct call *call, int result)
{
	uint32_t len = 0;

	if (call->device.state != SIM_HANDSHAKE) {
		call->peer_gone = result <= 0;
		return;
	}
	(void)sim_device_want(&call->device, &len);
	if (result == (int)len)
		sim_device_got(&call->device);
	else
		peer_gone(call, result < 0 ? result : 0);
}

static void on_recv(struct call *call, const struct ch_completion *done)
{
	if (done->result == -ENOBUFS || done->result == -ECANCELED)
		return; /* armed again by progress, or ended on purpose */
	if (done->result == -EKEYEXPIRED && call->device.rx_kernel)
		return; /* new keys are on their way */
	if (done->result < 0)
		peer_gone(call, done->result);
	else if (done->end)
		peer_gone(call, 0);
	else if (call->device.rx_kernel)
		sim_device_record(&call->device, done->record_type, done->payload,
				  done->payload_len);
	else if (done->buffered)
		sim_device_data(&call->device, done->payload, done->payload_len);
}

static void on_send(struct sim_fleet *fleet, struct call *call, int result)
{
	if (result < 0) {
		call->flight_at = (uint32_t)call->flight.len;
		peer_gone(call, result);
		return;
	}
	call->paused = call->device.impostor && call->device.impostor->drip;
	call->flight_at += (uint32_t)result;
	fleet->shared.counters.sent_bytes += (uint32_t)result;
	if (call->device.tx_kernel) /* the kernel made about as many records */
		call->device.record.keys.tx.sequence += 1 + (uint32_t)result / CH_RECORD_PLAIN_MAX;
	if (call->flight_at < call->flight.len)
		return;
	call->flight.len = 0;
	call->flight_at = 0;
	if (call->flight.cap > 1024)
		ch_buf_deinit(&call->flight);
	sim_device_trim(&call->device);
}

static void on_record_sent(struct sim_fleet *fleet, struct call *call, int result)
{
	bool update = call->updating;

	call->updating = false;
	if (result < 0)
		peer_gone(call, result);
	else if (update)
		rekey(fleet, call, CH_KTLS_TX);
}

void call_on_completion(struct sim_fleet *fleet, const struct ch_completion *done)
{
	enum call_op op = (enum call_op)ch_user_data_op(done->user_data);
	struct call *call = &fleet->calls[ch_user_data_slot(done->user_data)];
	uint64_t now_ns = ch_now_ns();

	fleet->shared.now_ns = now_ns;
	/* a slot is used again only when nothing is in flight, so nothing here can be stale */
	assert(ch_user_data_generation(done->user_data) == call->generation);
	if (op == CALL_OP_CANCEL)
		call->cancels--;
	else if (!done->more)
		call->inflight &= (uint16_t) ~(1u << op);
	if (op == CALL_OP_CLOSE) {
		gone(fleet, call);
		return;
	}
	if (op == CALL_OP_REKEY_RX || op == CALL_OP_REKEY_TX)
		rekeyed(fleet, call, op == CALL_OP_REKEY_TX ? CH_KTLS_TX : CH_KTLS_RX,
			done->result);
	if (call->phase == CALL_ENDING) {
		/* a connect or a send that won the race against its cancellation changes nothing */
		close_when_idle(fleet, call);
		return;
	}
	if (op == CALL_OP_CONNECT)
		on_connect(fleet, call, done->result, now_ns);
	else if (op == CALL_OP_READ)
		on_read(call, done->result);
	else if (op == CALL_OP_RECV)
		on_recv(call, done);
	else if (op == CALL_OP_SEND)
		on_send(fleet, call, done->result);
	else if (op == CALL_OP_RECORD)
		on_record_sent(fleet, call, done->result);
	progress(fleet, call, now_ns);
}

void call_step(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	call->queued = false;
	if (call->phase == CALL_ENDING) {
		close_when_idle(fleet, call);
		return;
	}
	if (call->device.state == SIM_HANDSHAKE)
		sim_device_step(&call->device);
	progress(fleet, call, now_ns);
}

static void send_due_notifications(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	if (!call->notifying || fleet->notify_interval_ns == 0)
		return;
	for (int i = 0; i < BURST && call->notify_ns <= now_ns; i++) {
		sim_device_notify(&call->device);
		call->notify_ns += fleet->notify_interval_ns;
	}
	if (call->notify_ns <= now_ns)
		call->notify_ns = now_ns + fleet->notify_interval_ns;
}

/* Does what is due in an open session. */
static void serve_session(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	if (is_quiet(fleet))
		return;
	if (may_idle(fleet) && now_ns >= call->active_ns + fleet->options.idle_timeout_ns) {
		sim_device_close(&call->device, SIM_END_IDLE);
		return;
	}
	send_due_notifications(fleet, call, now_ns);
	sim_device_test(&call->device);
	arm_session(fleet, call);
}

static void on_connected_timer(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	struct sim_device *device = &call->device;

	if (fleet->options.attack && call_attack_timer(fleet, call, now_ns)) {
		progress(fleet, call, now_ns);
		return;
	}
	if (device->impostor) {
		end_call(fleet, call, SIM_END_STOPPED);
		return;
	}
	switch ((enum sim_state)device->state) {
	case SIM_HANDSHAKE:
	case SIM_WAIT_HELLO:
		end_call(fleet, call, SIM_END_AUTH_TIMEOUT);
		return;
	case SIM_OPEN:
		serve_session(fleet, call, now_ns);
		break;
	case SIM_CLOSING:
		end_call(fleet, call, (enum sim_end)device->end);
		return;
	case SIM_IDLE:
		break; /* no socket, no timer */
	}
	progress(fleet, call, now_ns);
}

void call_on_timer(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	switch ((enum call_phase)call->phase) {
	case CALL_WAITING:
		if (is_quiet(fleet))
			call->phase = CALL_DONE;
		else
			call_begin(fleet, call, call->timer.deadline_ns, now_ns);
		break;
	case CALL_CONNECTING:
		end_call(fleet, call, SIM_END_CONNECT_TIMEOUT);
		break;
	case CALL_CONNECTED:
		on_connected_timer(fleet, call, now_ns);
		break;
	case CALL_ENDING:
	case CALL_DONE:
		break; /* their timer is disarmed */
	}
}

void call_close(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	if (call->phase == CALL_CONNECTING) {
		end_call(fleet, call, SIM_END_STOPPED);
	} else if (call->phase == CALL_CONNECTED) {
		sim_device_close(&call->device, SIM_END_STOPPED);
		progress(fleet, call, now_ns);
	} else if (call->phase == CALL_WAITING) {
		ch_wheel_cancel(&fleet->wheel, &call->timer);
		call->phase = CALL_DONE;
	}
}
