/*
 * The core of the protocol (docs/PROTOCOL.md) as a model for spin: lanes and
 * their exchanges, records and acknowledgements, the lane rule, hedging, and
 * a session that goes on over new connections and under new keys.
 *
 * The client sends UP pieces of a stream, the gateway DOWN. What the programs
 * decide by time or by taste is left open: when something is written, when a
 * response ends, whether a question is repeated or keys are changed, how long
 * anything takes. The network does harm FAULTS times, and at any moment may
 * become calm for ever: then exchanges get through.
 *
 * Shown: what is acknowledged has been taken; every piece is handed over once,
 * in order; exchanges do not follow one another without end; everything that
 * was written arrives. Since exchanges are numbered and bounded, all runs are
 * finite: what does not arrive is found as an invalid end state, too.
 */

#ifndef UP
#define UP 1
#endif
#ifndef DOWN
#define DOWN 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef HEDGES
#define HEDGES 0
#endif
#ifndef HELLOS			/* for new keys, beside those after a 404 */
#define HELLOS 0
#endif

#define PIECES 2		/* HAS_QUEUED and CARRIES count on it */
#define LANES 2
#define HELLO LANES		/* in the place of a lane's number */
#define SLOTS 4			/* HTTP exchanges at once; see ANY_FREE */
#define EXCHANGES_MAX 10		/* on one lane; more would be without end */
#define NUMBERS_MAX 8		/* of records with data: bits in `seen` */
#define NO_END 255

/* What may still happen. A hold hides one body that was cut short. */
byte faults = FAULTS, hedges = HEDGES, hellos = HELLOS, holds = FAULTS;

#define CALM (faults + hedges + hellos == 0)
#define ALL_READ (s[GATEWAY].read == UP && s[CLIENT].read == DOWN)

#define IF(condition) if :: condition ->
#define FI :: else fi
hidden byte i, j, n, p, to;	/* within one step only */

/* ---- a session at either end: common/session.c, sent.c, receive.c, fill.c */

#define CLIENT 0
#define GATEWAY 1
#define UNWRITTEN 0
mtype = { QUEUED, SENT, ACKED };

typedef session {
	mtype piece[PIECES];	/* what became of each (sendq.c) */
	byte number[PIECES];	/* of the record that carries it, */
	byte lane[PIECES];	/* by which exchange (sent.c) */
	byte exchange[PIECES];
	byte next;		/* record number */
	byte seen;		/* numbers that arrived (ranges.c) */
	byte got;		/* pieces that arrived (recvq.c) */
	byte read;		/* pieces handed to the application */
	byte keys, keys_before, keys_offered;	/* generations */
};
session s[2];

#define HAS(set, bit) ((set) & (1 << (bit)))
#define HAS_QUEUED(me) (s[me].piece[0] == QUEUED || s[me].piece[1] == QUEUED)

/* Its record is not waited for any longer. */
inline settle(me, pc, what)
{
	s[me].piece[pc] = what;
	s[me].number[pc] = 0;
	s[me].lane[pc] = 0;
	s[me].exchange[pc] = 0
}

/* session_lane_begin: the lane rule. */
inline lane_begin(me, ln, at)
{
#ifndef NO_LANE_RULE
	for (i : 0 .. PIECES - 1) {
		IF(s[me].piece[i] == SENT && s[me].lane[i] == ln &&
		    s[me].exchange[i] < at)
			settle(me, i, QUEUED)
		FI
	}
#endif
	skip
}

/* take_ack: who acknowledges has taken. */
inline take_ack(me, set)
{
	for (i : 0 .. PIECES - 1) {
		IF(s[me].piece[i] == SENT && HAS(set, s[me].number[i]))
			assert(HAS(s[1 - me].got, i));
			settle(me, i, ACKED)
		FI
	}
}

/* session_receive: a number counts once, and so does a piece. */
inline take_data(me, nr, pc)
{
	IF(pc > 0 && !HAS(s[me].seen, nr))
		s[me].seen = s[me].seen | (1 << nr);
		s[me].got = s[me].got | (1 << (pc - 1));
		do
		:: s[me].read < PIECES && HAS(s[me].got, s[me].read) ->
			assert(s[1 - me].piece[s[me].read] != UNWRITTEN);
			s[me].read++
		:: else -> break
		od
	FI
}

/* fill_record: piece p - 1 goes into record n; p is 0 when there is none. */
inline put_data(me, ln, at)
{
	n = 0;
	p = 0;
	for (i : 0 .. PIECES - 1) {
		IF(p == 0 && s[me].piece[i] == QUEUED)
			assert(s[me].next < NUMBERS_MAX);
			p = i + 1;
			n = s[me].next;
			s[me].next++;
			s[me].piece[i] = SENT;
			s[me].number[i] = n;
			s[me].lane[i] = ln;
			s[me].exchange[i] = at
		FI
	}
}

/* ---- HTTP exchanges, as both ends see them ------------------------------- */

#define IDLE 0
#define NOBODY 0
mtype = { POSTED, TAKEN };		/* by the gateway */
mtype = { LANE, GHOST };
mtype = { RECORD, ANSWER, NOT_FOUND };

typedef http {
	mtype state;
	mtype ear;		/* the client's, for the response */
	byte lane, no;		/* EXCHANGE; or HELLO and its generation */
	byte keys;		/* the request's, by their generation */
	bool hold;
	byte ack;
	byte number[2], data[2];/* two records; data 0: no piece */
	bool refused, stale, begun;	/* gate_impl.h */
};
http x[SLOTS];
/* What comes back: what, keys, ACK, record number, data, END's exchange. */
chan response[SLOTS] = [2] of { mtype, byte, byte, byte, byte, byte };

#define FREE(q) (x[q].state == IDLE && x[q].ear == NOBODY)
#define ANY_FREE (FREE(0) || FREE(1) || FREE(2) || FREE(3))

inline find_free()
{
	to = 0;
	do
	:: FREE(to) -> break
	:: else -> to++
	od
}

inline forget_body(q)
{
	for (i : 0 .. 1) {
		x[q].number[i] = 0;
		x[q].data[i] = 0
	}
	x[q].keys = 0;
	x[q].hold = false;
	x[q].ack = 0
}

/* Both ends are done with it. */
inline forget(q)
{
	forget_body(q);
	x[q].state = IDLE;
	x[q].lane = 0;
	x[q].no = 0;
	x[q].refused = false;
	x[q].stale = false;
	x[q].begun = false
}

/* ---- the client: common/lanes*.c ---------------------------------------- */

typedef slot {
	byte no;		/* of its last exchange */
	bool busy, restart, held;
	bool outdated;		/* it began before the last hello */
};
slot lane[LANES + 1];
bool need_hello;

#define CARRIES(ln, pc) (s[CLIENT].piece[pc] == SENT && \
    s[CLIENT].lane[pc] == ln)
#define PENDING(ln) (CARRIES(ln, 0) || CARRIES(ln, 1))
#define ANY_HELD (lane[0].held || lane[1].held)

inline post(ln)
{
	lane[ln].no++;
	assert(lane[ln].no < EXCHANGES_MAX);
	lane[ln].busy = true;
	lane[ln].restart = false;
	lane[ln].outdated = false;
	find_free();
	x[to].state = POSTED;
	x[to].ear = LANE;
	x[to].lane = ln;
	x[to].no = lane[ln].no
}

/* lanes_start */
inline start(ln)
{
	post(ln);
	lane_begin(CLIENT, ln, lane[ln].no);
	x[to].hold = HAS_QUEUED(CLIENT) || !ANY_HELD;
	x[to].keys = s[CLIENT].keys;
	x[to].ack = s[CLIENT].seen;
	for (j : 0 .. 1) {
		put_data(CLIENT, ln, lane[ln].no);
		x[to].number[j] = n;
		x[to].data[j] = p
	}
	printf("slot %d: lane %d exchange %d data %d %d hold %d\n", to, ln,
	    x[to].no, x[to].data[0], x[to].data[1], x[to].hold);
	lane[ln].held = x[to].hold
}

/* lanes_hedge: another begins elsewhere, and this one is heard out. */
inline hedge(ln)
{
	for (j : 0 .. SLOTS - 1) {
		IF(x[j].ear == LANE && x[j].lane == ln)
			x[j].ear = GHOST
		FI
	}
	lane[ln].held = false;
	start(ln)
}

/* lanes_run: a lane that failed, something to send, or nothing held. */
proctype run_lane(byte ln)
{
end:	do
	:: d_step { !lane[ln].busy && !need_hello && ANY_FREE &&
	    (lane[ln].restart || ((HAS_QUEUED(CLIENT) || !ANY_HELD) &&
	    (ln == 0 || lane[0].busy))) ->
		start(ln) }
	:: d_step { hedges > 0 && lane[ln].held && ANY_FREE ->
		hedges--;
		hedge(ln) }
	od
}

/* lanes_greet: because of a 404, or for new keys. */
proctype greet()
{
end:	do
	:: d_step { (need_hello || hellos > 0) && !lane[HELLO].busy &&
	    ANY_FREE ->
		IF(!need_hello) hellos-- FI;
		post(HELLO);
		printf("slot %d: hello %d\n", to, x[to].no) }
	od
}

/* lanes_on_end */
inline lane_over(q, again)
{
	IF(x[q].ear == LANE)
		lane[x[q].lane].restart = again;
		lane[x[q].lane].busy = false;
		lane[x[q].lane].held = false;
		lane[x[q].lane].outdated = false
	FI;
	x[q].ear = NOBODY
}

/* ended_badly: the lane runs again. */
inline lane_failed(q)
{
	lane_over(q, x[q].lane != HELLO);
	do
	:: nempty(response[q]) -> response[q]?_, _, _, _, _, _
	:: empty(response[q]) -> break
	od
}

/* welcome: what the gateway answers to older exchanges says nothing now. */
inline new_keys(generation)
{
	s[CLIENT].keys_before = s[CLIENT].keys;
	s[CLIENT].keys = generation;
	need_hello = false;
#ifndef ANY_404_COUNTS
	for (j : 0 .. LANES - 1) {
		lane[j].outdated = lane[j].busy
	}
#endif
	skip
}

#define OPENS(me, k) (k == s[me].keys || k == s[me].keys_before)

hidden mtype kind;
hidden byte keys, ack, number, data, ended;

/* lanes_on_body, lanes_on_end */
proctype hear(byte q)
{
end:	do
	:: d_step { response[q]?kind, keys, ack, number, data, ended ->
		printf("slot %d: %e data %d end %d arrives\n", q, kind, data,
		    ended);
		if
		:: kind == NOT_FOUND ->
			need_hello = need_hello || (x[q].ear == LANE &&
			    !lane[x[q].lane].outdated);
			lane_failed(q)
		:: kind == ANSWER ->
			new_keys(keys);
			lane_over(q, false)
		:: kind == RECORD && !OPENS(CLIENT, keys) -> lane_failed(q)
		:: else ->
			take_ack(CLIENT, ack);
			take_data(CLIENT, number, data);
			IF(x[q].ear == LANE) lane[x[q].lane].held = false FI;
			IF(ended != NO_END)
				lane_over(q, ended != x[q].no ||
				    PENDING(x[q].lane))
			FI
		fi;
		IF(FREE(q)) forget(q) FI }
	od
}

/* ---- the gateway: common/gate_exchange.c, gate_hello.c, gate_response.c -- */

byte begun[LANES];		/* the highest exchange of each lane */
chan waiting = [SLOTS] of { byte };	/* held, the oldest first */

#define HELD(q) waiting??[eval(q)]
#define OLDEST(q) waiting?[eval(q)]

inline unhold(q)
{
	IF(HELD(q)) waiting??eval(q) FI
}

/* begin: its lane leaves the one before behind, or has left this one. */
inline begin(q)
{
	if
	:: x[q].no <= begun[x[q].lane] -> x[q].stale = true
	:: else ->
		begun[x[q].lane] = x[q].no;
		for (j : 0 .. SLOTS - 1) {
			IF(j != q && x[j].state == TAKEN &&
			    x[j].lane == x[q].lane)
				unhold(j);
				x[j].begun = false;
				x[j].stale = true
			FI
		}
		lane_begin(GATEWAY, x[q].lane, x[q].no)
	fi
}

/* take_records; the first under keys that were offered makes them the ones. */
inline take_records(q)
{
	IF(x[q].keys == s[GATEWAY].keys_offered)
		s[GATEWAY].keys_before = s[GATEWAY].keys;
		s[GATEWAY].keys = s[GATEWAY].keys_offered;
		s[GATEWAY].keys_offered = 0
	FI;
	if
	:: OPENS(GATEWAY, x[q].keys) ->
		take_ack(GATEWAY, x[q].ack);
		take_data(GATEWAY, x[q].number[0], x[q].data[0]);
		begin(q);
		take_data(GATEWAY, x[q].number[1], x[q].data[1]);
		IF(x[q].hold && !x[q].stale) waiting!q FI
	:: else -> x[q].refused = true
	fi
}

/* may_resume */
inline take_hello(q)
{
	if
	:: x[q].no > s[GATEWAY].keys && x[q].no >= s[GATEWAY].keys_offered ->
		s[GATEWAY].keys_offered = x[q].no
	:: else -> x[q].refused = true
	fi
}

inline respond(q, what, generation, nr, pc, last)
{
	IF(x[q].ear != NOBODY)
		response[q]!what, generation, s[GATEWAY].seen, nr, pc, last
	FI;
	unhold(q);
	x[q].begun = true;
	IF(last != NO_END) x[q].state = IDLE FI;
	IF(FREE(q)) forget(q) FI
}

/* pull_records: one of them, the last one with END. */
inline pull(q, last)
{
	put_data(GATEWAY, x[q].lane, x[q].no);
	respond(q, RECORD, s[GATEWAY].keys, n, p, last)
}

#ifdef LEFT_BEHIND_NAMED	/* as if it had been answered in full */
#define LEFT_BEHIND(q) x[q].no
#else
#define LEFT_BEHIND(q) 0
#endif

#define PULLS(q) (x[q].state == TAKEN && \
    (x[q].ear == NOBODY || nfull(response[q])))
#define PULLS_DATA(q) (PULLS(q) && !x[q].refused && !x[q].stale && \
    x[q].lane != HELLO && (!HELD(q) || OLDEST(q)))

proctype serve(byte q)
{
end:	do
	:: d_step { x[q].state == POSTED ->
		x[q].state = TAKEN;
		if
		:: x[q].lane == HELLO -> take_hello(q)
		:: else -> take_records(q)
		fi;
		printf("slot %d: taken\n", q);
		forget_body(q) }
	:: d_step { PULLS(q) && x[q].refused ->
		respond(q, NOT_FOUND, 0, 0, 0, 0) }
	:: d_step { PULLS(q) && x[q].lane == HELLO && !x[q].refused ->
		respond(q, ANSWER, x[q].no, 0, 0, 0) }
	:: d_step { PULLS(q) && x[q].stale ->
		respond(q, RECORD, s[GATEWAY].keys, 0, 0, LEFT_BEHIND(q)) }
	:: d_step { PULLS_DATA(q) && HAS_QUEUED(GATEWAY) -> pull(q, NO_END) }
	:: d_step { PULLS_DATA(q) && (HAS_QUEUED(GATEWAY) || !HELD(q) ||
	    len(waiting) > 1) -> pull(q, x[q].no) }	/* keep is 1 */
	:: atomic { PULLS_DATA(q) && timeout && holds > 0 && !ALL_READ ->
		d_step {
			holds--;
			pull(q, x[q].no)
		} }
	:: d_step { x[q].state == TAKEN && x[q].ear == NOBODY ->
		unhold(q);
		forget(q) }
	od
}

/* ---- the network --------------------------------------------------------- */

/* The connection is gone; a request on its way is lost, or still goes on. */
inline cut(q, lost)
{
	printf("slot %d: cut, lost %d\n", q, lost);
	lane_failed(q);
	IF(x[q].state == IDLE || (lost && x[q].state == POSTED)) forget(q) FI
}

/* Somebody sends the request once more, and one of the two is heard. */
inline repeat(q, ear_of_first, ear_of_second)
{
	find_free();
	x[to].state = POSTED;
	x[to].lane = x[q].lane;
	x[to].no = x[q].no;
	x[to].keys = x[q].keys;
	x[to].hold = x[q].hold;
	x[to].ack = x[q].ack;
	for (i : 0 .. 1) {
		x[to].number[i] = x[q].number[i];
		x[to].data[i] = x[q].data[i]
	}
	x[to].ear = ear_of_second;
	x[q].ear = ear_of_first;
	printf("slot %d: the same as slot %d\n", to, q)
}

#define HARMS(q) (faults > 0 && x[q].ear != NOBODY)

proctype harm(byte q)
{
end:	do
	:: d_step { HARMS(q) -> faults--; cut(q, false) }
	:: d_step { HARMS(q) && x[q].state == POSTED -> faults--; cut(q, true) }
	:: d_step { HARMS(q) -> faults--;	/* somebody else's 404 */
		need_hello = true;
		cut(q, true) }
	:: d_step { HARMS(q) && x[q].state == POSTED && x[q].data[1] > 0 ->
		faults--;			/* the body is cut short */
		x[q].number[1] = 0;
		x[q].data[1] = 0 }
	:: d_step { HARMS(q) && x[q].state == POSTED && ANY_FREE -> faults--;
		repeat(q, x[q].ear, NOBODY) }
	:: d_step { HARMS(q) && x[q].state == POSTED && ANY_FREE -> faults--;
		repeat(q, NOBODY, x[q].ear) }
	od
}

/* Another network: all connections are gone at once. Or all is well. */
proctype weather()
{
end:	do
	:: d_step { faults > 0 -> faults--;
		for (j : 0 .. SLOTS - 1) { cut(j, true) }
		skip }
	:: d_step { faults > 0 -> faults--;
		for (j : 0 .. SLOTS - 1) { cut(j, false) }
		skip }
	:: d_step { !CALM ->
		faults = 0;
		hedges = 0;
		hellos = 0 }
	od
}

/* ---- Notes and Domino ---------------------------------------------------- */

proctype write(byte me, pieces)
{
end:	do
	:: d_step { pieces > 0 && s[me].piece[0] == UNWRITTEN ->
		s[me].piece[0] = QUEUED }
	:: d_step { pieces > 1 && s[me].piece[0] != UNWRITTEN &&
	    s[me].piece[1] == UNWRITTEN -> s[me].piece[1] = QUEUED }
	od
}

/* The session is there already. Ends when everything has arrived. */
init {
	atomic {
		s[CLIENT].keys = 1;
		s[GATEWAY].keys = 1;
		lane[HELLO].no = 1;
		run write(CLIENT, UP);
		run write(GATEWAY, DOWN);
		run greet();
		run weather();
		for (j : 0 .. LANES - 1) {
			run run_lane(j)
		}
		for (j : 0 .. SLOTS - 1) {
			run hear(j);
			run serve(j);
			run harm(j)
		}
	}
	ALL_READ
}

ltl arrives { [] (CALM -> <> ALL_READ) }
