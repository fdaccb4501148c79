from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase, tagged

from ...engine import planner
from ...engine.planner import NOWHERE, Area, Booked, Due, Nearness, Slot
from ...engine.receiving import ALWAYS, Receiving, parse

TODAY = date(2026, 3, 16)  # a Monday
HORIZON = 14
RELAXED = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
VIENNA = Area(48.2082, 16.3738, 1, "1010", "Wien")
GRAZ = Area(47.0707, 15.4395, 1, "8010", "Graz")
TUESDAYS = parse("Tu 09:00-12:00")
HOLIDAYS = parse("closed 2026-03-10/2026-04-07")


def week(capacity=4, weeks=20):
    """Return the capacities of working days from Monday to Friday."""
    days = (TODAY + timedelta(days=number) for number in range(7 * weeks))
    return {day: capacity for day in days if day.weekday() < 5}


def day(number):
    return TODAY + timedelta(days=number)


@st.composite
def agendas(draw):
    """Draw dues, booked visits and capacities of one salesperson."""
    area = st.sampled_from([NOWHERE, VIENNA, GRAZ])
    load = st.sampled_from([planner.VISIT_LOAD, planner.CALL_LOAD])
    interval = st.sampled_from([1, 5, 7, 14, 30, 90])
    key = st.tuples(st.integers(1, 15), st.sampled_from(["visit", "contact"]))
    receiving = st.sampled_from(
        [
            *(ALWAYS, ALWAYS, TUESDAYS, HOLIDAYS),
            parse("Mo,Th-Su; closed 2026-03-23/2026-03-27"),
            # nobody comes in there before long
            Receiving(closed=((day(-90), day(90)),)),
        ]
    )
    dues = draw(
        st.lists(
            st.builds(
                Due,
                key,
                st.integers(-60, 45).map(day),
                interval,
                st.integers(1, 3),
                st.integers(1, 5),
                load,
                st.booleans(),
                area,
                st.booleans(),
                receiving,
            ),
            max_size=25,
        )
    )
    booked = draw(
        st.lists(
            st.builds(
                Booked,
                key,
                st.integers(-5, 30).map(day),
                interval,
                load,
                st.booleans(),
                area,
                st.booleans(),
                receiving=receiving,
            ),
            max_size=12,
            unique_by=lambda visit: visit.key,
        )
    )
    capacity = draw(
        st.dictionaries(st.integers(-3, 60).map(day), st.integers(0, 12), max_size=50)
    )
    return dues, booked, capacity


@tagged("post_install", "-at_install")
class TestPlanner(BaseCase):
    """The days of one salesperson, without a database."""

    def _plan(self, dues, booked=(), capacity=None, **values):
        capacity = week() if capacity is None else capacity
        return planner.plan(dues, booked, capacity, TODAY, HORIZON, **values)

    # --- what holds for every agenda ------------------------------------------------

    @RELAXED
    @given(agendas())
    def test_everything_is_planned_or_in_the_backlog(self, agenda):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        # never two for one account and track: one slot per key
        self.assertEqual(set(slots), {due.key for due in dues})
        for key, slot in slots.items():
            if slot.day:
                self.assertIsNone(slot.reason)
            else:
                self.assertIn(slot.reason, ("capacity", "away", "route", "closed"))
                if slot.reason == "closed":
                    limits = {due.receiving for due in dues if due.key == key}
                    self.assertNotEqual(limits, {ALWAYS})

    @RELAXED
    @given(agendas())
    def test_never_where_nobody_receives(self, agenda):
        """Nor is a day refused for that where they do."""
        dues, booked, capacity = self._make_unique(*agenda)
        slots = self._plan(dues, booked, capacity)
        for due in dues:
            if slots[due.key].day:
                self.assertTrue(due.receiving.receives(slots[due.key].day))
            if slots[due.key].reason == "closed":
                self.assertTrue(
                    any(not due.receiving.receives(day_) for day_ in capacity)
                )

    @RELAXED
    @given(agendas())
    def test_who_always_receives_is_planned_as_ever(self, agenda):
        """Every day of the week is as good as nothing said."""
        dues, booked, capacity = agenda
        every_day = parse("Mo-Su 08:00-09:00")
        plans = [
            self._plan(
                [due._replace(receiving=limits) for due in dues],
                [visit._replace(receiving=limits) for visit in booked],
                capacity,
            )
            for limits in (ALWAYS, every_day)
        ]
        self.assertEqual(*plans)

    @RELAXED
    @given(agendas())
    def test_fixed_points_stay(self, agenda):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        for visit in booked:
            if visit.key in slots:
                self.assertEqual(slots[visit.key], Slot(visit.day))

    @RELAXED
    @given(agendas())
    def test_never_over_capacity_and_never_on_a_day_off(self, agenda):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        fixed = {visit.key for visit in booked}
        load = dict.fromkeys(capacity, 0)
        for visit in booked:
            if visit.day in load:
                load[visit.day] += visit.load
        before = dict(load)
        # of two with one key, either may be the one that was placed
        loads = {}
        for due in dues:
            loads[due.key] = min(due.load, loads.get(due.key, due.load))
        for key, slot in slots.items():
            if slot.day and key not in fixed:
                self.assertIn(slot.day, capacity)
                self.assertGreaterEqual(slot.day, TODAY)
                load[slot.day] += loads[key]
        for day_, total in load.items():
            # only what a person booked may be too much
            if total > capacity[day_]:
                self.assertEqual(total, before[day_])

    @RELAXED
    @given(agendas())
    def test_never_too_early(self, agenda):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        fixed = {visit.key for visit in booked}
        for key, slot in slots.items():
            if slot.day and key not in fixed:
                self.assertTrue(
                    any(
                        slot.day >= due.date_due - timedelta(days=int(due.days * 0.3))
                        for due in dues
                        if due.key == key
                    )
                )

    @RELAXED
    @given(agendas(), st.randoms(use_true_random=False))
    def test_order_of_the_input_changes_nothing(self, agenda, random):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        random.shuffle(dues)
        random.shuffle(booked)
        items = list(capacity.items())
        random.shuffle(items)
        self.assertEqual(self._plan(dues, booked, dict(items)), slots)

    @RELAXED
    @given(agendas(), st.integers(-60, 14))
    def test_another_visit_reshuffles_nothing(self, agenda, offset):
        """What was planned is booked in the next run, and stays."""
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        by_key = {due.key: due for due in dues}
        booked = {visit.key: visit for visit in booked}
        for key, slot in slots.items():
            if slot.day and key not in booked:
                due = by_key[key]
                booked[key] = Booked(
                    key, slot.day, due.days, due.load, due.on_route, due.area
                )
        more = [*dues, Due((99, "visit"), day(offset), 7)]
        later = self._plan(more, booked.values(), capacity)
        for key, slot in slots.items():
            if slot.day:
                self.assertEqual(later[key], slot)

    @RELAXED
    @given(agendas())
    def test_a_route_needs_somebody_nearby(self, agenda):
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        fixed = {visit.key for visit in booked}
        route_keys = {due.key for due in dues} - {
            due.key for due in dues if not due.on_route
        }
        anchors = {
            (visit.day, visit.area)
            for visit in booked
            if visit.on_site and not visit.on_route
        }
        anchors |= {
            (slots[due.key].day, due.area)
            for due in dues
            if due.key not in fixed and due.on_site and not due.on_route
        }
        for key in route_keys - fixed:
            if slots[key].day:
                areas = {due.area for due in dues if due.key == key}
                self.assertTrue(
                    any((slots[key].day, area) in anchors for area in areas - {NOWHERE})
                )

    @RELAXED
    @given(agendas())
    def test_never_after_the_window(self, agenda):
        """Also where leaves make gaps between the free days."""
        dues, booked, capacity = agenda
        slots = self._plan(dues, booked, capacity)
        fixed = {visit.key for visit in booked}
        agenda = planner.Agenda(booked, capacity, TODAY, HORIZON)
        for key, slot in slots.items():
            if slot.day and key not in fixed:
                lasts = [agenda.get_last_day(due) for due in dues if due.key == key]
                self.assertLessEqual(slot.day, max(last for last in lasts if last))

    @RELAXED
    @given(agendas())
    def test_a_second_run_changes_nothing(self, agenda):
        dues, booked, capacity = self._make_unique(*agenda)
        slots = self._plan(dues, booked, capacity)
        by_key = {due.key: due for due in dues}
        for key, slot in slots.items():
            if slot.day:
                due = by_key[key]
                booked.append(
                    Booked(
                        key,
                        slot.day,
                        due.days,
                        due.load,
                        due.on_route,
                        due.area,
                        due.on_site,
                        due.tier,
                        due.stage,
                        due.receiving,
                    )
                )
        self.assertEqual(self._plan(dues, booked, capacity), slots)
        # what was planned on a route still has others nearby
        again = planner.Agenda(booked, capacity, TODAY, HORIZON)
        for key, slot in slots.items():
            if slot.day and by_key[key].on_route:
                areas = again.anchors[slot.day]
                near = again.nearness.is_near
                self.assertTrue(any(near(by_key[key].area, area) for area in areas))

    @settings(RELAXED, max_examples=200)
    @given(agendas(), st.lists(st.integers(-60, 45), max_size=40))
    def test_what_finds_no_room_can_be_left_out(self, agenda, offsets):
        """Of each load, length of interval and days to receive, as many as there is
        room for until the end of the longest window, the earliest due first: all others
        change nothing."""
        dues, booked, capacity = self._make_unique(*agenda)
        dues += [
            Due((100 + number, "visit"), day(offset), (7, 30, 90)[number % 3])
            for number, offset in enumerate(offsets)
        ]
        slots = self._plan(dues, booked, capacity)
        agenda = planner.Agenda(booked, capacity, TODAY, HORIZON)
        lasts = [day for day in map(agenda.get_last_day, dues) if day]
        end = max(lasts, default=None)
        groups = {}
        for due in sorted(dues, key=lambda due: due[1:2] + due[3:5] + due[:1]):
            if not due.on_route:
                key = (due.days, due.load, due.receiving)
                groups.setdefault(key, []).append(due)
        chosen = [
            due
            for (_, load, _), group in groups.items()
            for due in group[: agenda.get_room(load, end) if end else 0]
        ]
        placed = agenda.place(chosen, end=end)
        for due in chosen:
            if placed[due.key].day:
                agenda.anchor(due, placed[due.key].day)
        placed.update(agenda.place_on_route(due for due in dues if due.on_route))
        self.assertEqual(
            {key: slot.day for key, slot in placed.items() if slot.day},
            {key: slot.day for key, slot in slots.items() if slot.day},
        )

    def _make_unique(self, dues, booked, capacity):
        """Return an agenda with one entry per key, as the database has it."""
        booked_keys = {visit.key for visit in booked}
        by_key = {due.key: due for due in sorted(dues, reverse=True)}
        return (
            [due for key, due in by_key.items() if key not in booked_keys],
            booked,
            capacity,
        )

    # --- when they receive ------------------------------------------------------------

    def test_on_the_nearest_day_to_receive(self):
        due = Due((1,), day(2), 14, receiving=TUESDAYS)
        # Wednesday is as near to Tuesday before as it is early enough
        self.assertEqual(self._plan([due])[1,].day, day(1))
        self.assertEqual(
            self._plan([due._replace(date_due=TODAY)])[1,].day,
            day(1),
        )

    def test_after_the_holidays(self):
        due = Due((1,), day(2), 7, receiving=HOLIDAYS)
        self.assertEqual(self._plan([due])[1,].day, date(2026, 4, 8))

    def test_nobody_receives_for_months(self):
        closed = Receiving(closed=((day(0), day(130)),))
        slots = self._plan([Due((1,), day(2), 7, receiving=closed)])
        self.assertEqual(slots[1,], Slot(None, "closed"))

    def test_room_on_other_days_alone(self):
        """Others take the Tuesdays, which are the first ones of theirs."""
        tuesdays = {day_: 0 for day_ in week() if day_.weekday() == 1}
        slots = self._plan(
            [Due((1,), day(2), 7, receiving=TUESDAYS), Due((2,), day(1), 7)],
            capacity={**week(), **tuesdays},
        )
        self.assertEqual(slots[1,], Slot(None, "closed"))
        self.assertTrue(slots[2,].day)

    def test_too_little_time_is_not_the_customers(self):
        due = Due((1,), day(2), 7, receiving=TUESDAYS)
        slots = self._plan([due], capacity=week(capacity=0))
        self.assertEqual(slots[1,].reason, "capacity")

    def test_the_others_day_is_free_for_who_comes_any_day(self):
        """No time is kept for those who don't receive then."""
        booked = [
            Booked((number,), day(number % 5), 7, receiving=TUESDAYS)
            for number in range(5)
        ]
        slots = self._plan([Due((9,), day(7), 7)], booked)
        self.assertEqual(slots[9,].day, day(7))

    def test_near_anyway_but_closed(self):
        trip = Booked((1,), day(2), area=VIENNA)
        due = Due((2,), day(2), 30, on_route=True, area=VIENNA)
        room = week(capacity=8)
        self.assertEqual(self._plan([due], [trip], room)[2,].day, day(2))
        due = due._replace(receiving=TUESDAYS)
        slots = self._plan([due], [trip], room)
        self.assertEqual(slots[2,], Slot(None, "closed"))
        slots = self._plan([due], capacity=room)
        self.assertEqual(slots[2,], Slot(None, "route"))

    # --- who comes first --------------------------------------------------------------

    def test_free_days_take_visits_on_their_due_dates(self):
        slots = self._plan(
            [
                Due(("a",), day(2), 7),
                Due(("saturday",), day(5), 14),
                Due(("overdue",), day(-3), 7),
            ]
        )
        self.assertEqual(slots["a",].day, day(2))
        self.assertEqual(slots["saturday",].day, day(4))
        self.assertEqual(slots["overdue",].day, TODAY)

    def test_largest_overdue_ratio_first_then_tier_then_stage(self):
        dues = [
            Due(("monthly, late by a week",), day(-7), 30, tier=1),
            Due(("weekly, late by a week",), day(-7), 7, tier=3),
            Due(("weekly, better tier",), day(-7), 7, tier=2),
            Due(("weekly, better stage",), day(-7), 7, tier=3, stage=-1),
        ]
        slots = self._plan(dues)
        self.assertEqual(
            sorted(slots, key=lambda key: slots[key].day),
            [
                ("weekly, better tier",),
                ("weekly, better stage",),
                ("weekly, late by a week",),
                ("monthly, late by a week",),
            ],
        )

    def test_what_does_not_fit_is_in_the_backlog(self):
        dues = [Due((number,), day(-number), 30) for number in range(1, 16)]
        slots = self._plan(dues)
        # eleven working days from Monday to the Monday in two weeks
        self.assertEqual(sum(1 for slot in slots.values() if slot.day), 11)
        for number in range(1, 5):
            self.assertEqual(slots[number,], Slot(None, "capacity"))
        self.assertEqual(slots[15,].day, TODAY)

    def test_a_full_day_pushes_a_visit_forward_rather_than_back(self):
        booked = [Booked(("full",), day(3))]
        slots = self._plan([Due(("b",), day(3), 14)], booked)
        self.assertEqual(slots["b",].day, day(2))

    def test_four_calls_are_as_long_as_a_visit(self):
        dues = [
            Due((number,), day(2), 1, load=planner.CALL_LOAD) for number in range(5)
        ]
        days = sorted(slot.day for slot in self._plan(dues).values())
        self.assertEqual(days, [day(2)] * 4 + [day(3)])

    def test_day_full_of_meetings(self):
        capacity = week()
        capacity[TODAY] = 0
        slots = self._plan([Due(("a",), TODAY, 1)], capacity=capacity)
        self.assertEqual(slots["a",].day, day(1))

    # --- away -----------------------------------------------------------------------

    def test_no_working_days(self):
        slots = self._plan([Due(("a",), TODAY, 7)], capacity={})
        self.assertEqual(slots["a",], Slot(None, "away"))

    def test_back_after_the_horizon(self):
        capacity = {day_: load for day_, load in week().items() if day_ > day(30)}
        dues = [Due((number,), day(-number), 30) for number in range(1, 4)]
        slots = self._plan(dues, capacity=capacity)
        days = sorted(slot.day for slot in slots.values())
        self.assertEqual(days, sorted(capacity)[:3])

    def test_nothing_after_the_window_where_a_leave_leaves_a_gap(self):
        """Away from the second day to the fifth week: what finds no room before has
        to wait for a run in which it is due within the horizon."""
        capacity = {
            day_: load
            for day_, load in week(1).items()
            if day_ < day(2) or day_ > day(32)
        }
        dues = [Due((number,), TODAY, 7, load=planner.CALL_LOAD) for number in range(3)]
        slots = self._plan(dues, capacity=capacity)
        self.assertEqual(
            [slots[number,] for number in range(3)],
            [Slot(TODAY), Slot(day(1)), Slot(None, "capacity")],
        )

    # --- on a route -------------------------------------------------------------------

    def test_near_by_coordinates_postal_code_or_city(self):
        nearness = Nearness(20, 3)
        suburb = Area(48.30, 16.33, 1, "3400", "Klosterneuburg")
        self.assertTrue(nearness.is_near(VIENNA, suburb))
        self.assertFalse(nearness.is_near(VIENNA, GRAZ))
        self.assertFalse(Nearness(5, 3).is_near(VIENNA, suburb))
        here = Area(0, 0, 1, "1010", "Wien")
        self.assertTrue(nearness.is_near(here, Area(0, 0, 1, "1019", "")))
        self.assertTrue(nearness.is_near(VIENNA, here), "one has no coordinates")
        self.assertFalse(nearness.is_near(here, Area(0, 0, 1, "1020", "Wien")))
        self.assertFalse(nearness.is_near(here, Area(0, 0, 2, "1010", "Wien")))
        self.assertTrue(Nearness(20, 0).is_near(here, Area(0, 0, 1, "9", "wien ")))
        self.assertFalse(nearness.is_near(Area(), Area()))
        self.assertFalse(nearness.is_near(NOWHERE, VIENNA))

    def test_only_when_near_anyway(self):
        low = Due(("low",), day(1), 30, on_route=True, area=VIENNA)
        self.assertEqual(self._plan([low])["low",], Slot(None, "route"))
        there = [Booked(("key",), day(4), area=VIENNA)]
        capacity = week(8)
        self.assertEqual(self._plan([low], there, capacity)["low",].day, day(4))
        # the day is full
        slots = self._plan([low], there)
        self.assertEqual(slots["low",], Slot(None, "route"))
        # a visit that is placed in the same run counts as well
        slots = self._plan([low, Due(("k",), day(2), 7, area=VIENNA)], (), capacity)
        self.assertEqual(slots["low",].day, day(2))
        # another visit on a route is no reason to go there
        route = [Booked(("key",), day(4), area=VIENNA, on_route=True)]
        self.assertEqual(self._plan([low], route, capacity)["low",].reason, "route")
        # nor is a call there, be it booked or placed in the same run
        call = [Booked(("key",), day(4), area=VIENNA, on_site=False)]
        self.assertEqual(self._plan([low], call, capacity)["low",].reason, "route")
        dues = [low, Due(("k",), day(2), 7, 0, 0, 1, False, VIENNA, False)]
        self.assertEqual(self._plan(dues, (), capacity)["low",].reason, "route")

    # --- too little time --------------------------------------------------------------

    @settings(max_examples=6, deadline=None, derandomize=True)
    @given(
        st.integers(2, 4),
        st.lists(st.sampled_from([7, 14, 30]), min_size=3, max_size=3),
        st.integers(0, 10**6),
    )
    def test_intervals_stretch_in_proportion(self, shortage, intervals, seed):
        """With a half, a third or a quarter of the time that is needed, everybody is
        visited at about twice, three or four times the interval."""
        accounts = [interval for interval in intervals for _ in range(20)]
        per_workday = sum(7 / 5 / interval for interval in accounts) / shortage
        capacity = {
            day_: planner.VISIT_LOAD
            * (int((number + 1) * per_workday) - int(number * per_workday))
            for number, day_ in enumerate(sorted(week(weeks=100)))
        }
        gaps = self._simulate(accounts, capacity, seed, days=shortage * 120)
        for interval, values in gaps.items():
            stretch = sum(values) / len(values) / interval
            self.assertAlmostEqual(stretch / shortage, 1, delta=0.2)

    def _simulate(self, accounts, capacity, seed, days):
        """Plan every night and visit every day; return {interval: gaps in days}."""
        due = {
            number: day((seed + number * 7) % interval)
            for number, interval in enumerate(accounts)
        }
        booked, last, gaps = {}, {}, {}
        for today in (day(number) for number in range(days)):
            dues = [
                Due((number,), date_due, accounts[number])
                for number, date_due in due.items()
                if number not in booked and (date_due - today).days <= HORIZON
            ]
            fixed = [
                Booked((number,), day_, accounts[number])
                for number, day_ in booked.items()
            ]
            slots = planner.plan(dues, fixed, capacity, today, HORIZON)
            booked.update({key[0]: slot.day for key, slot in slots.items() if slot.day})
            for number in [number for number, day_ in booked.items() if day_ == today]:
                del booked[number]
                interval = accounts[number]
                due[number] = today + timedelta(days=interval)
                if number in last and (today - TODAY).days > days / 3:
                    gap = (today - last[number]).days
                    gaps.setdefault(interval, []).append(gap)
                last[number] = today
        return gaps
