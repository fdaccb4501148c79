from collections import defaultdict
from datetime import timedelta

from odoo import api, models
from odoo.fields import Domain

from ...engine.cadence import MAX_SEARCH_DAYS
from ...engine.settlement import Event, Fate, Plan, Situation, Waits, decide
from ..account import bounds, clock
from ..account.key_account_mixin import get_account_key
from ..account.pause import paused
from .key_account_visit import CHECK_CONTACTS, REPORT_FIELDS

# A logged visit takes these over from the planned one in whose place it took place:
# what cadence and figures need,
ASKED_FIELDS = [
    "cadence_id",
    "date_due",
    "date_latest",
    "engagement_stage",
    "loss_id",
    "relationship_level",
    "tier_id",
]
# and the plan itself, unless it is one that the user may not see.
PLAN_FIELDS = [
    *ASKED_FIELDS,
    "date_planned",
    "is_date_fixed",
    "summary",
    "target_contact_id",
    "target_level",
    "target_role_id",
]
# These activities too, but where there are some the logged visit keeps its own.
TAKEN_ROLES = ("visit", "support")


class KeyAccountSettlement(models.AbstractModel):
    """What becomes of what was planned, missed or waits when visits take place: reads
    what there is, for all visits at once, and does what ``engine/settlement.py`` says.

    Called as superuser, with the visits of one transaction: what one visit brings about
    concerns others.
    """

    _name = "key.account.settlement"
    _description = "Settlement of Visits"

    # -------------------------------------------------------------------------
    # A visit took place
    # -------------------------------------------------------------------------

    @api.model
    def _settle_done(self, visits):
        """Settle what was missed when planned visits were done."""
        if visits:
            if others := self._find(visits, ("missed",)):
                self._settle_missed(Event.DONE, visits, others)

    @api.model
    def _settle_logged(self, visits):
        """Settle what was missed, planned or waits when visits were logged that nobody
        had planned."""
        if visits:
            others = self._find(visits, ("missed", "planned"))
            missed = others.filtered(lambda other: other.state == "missed")
            self._settle_missed(Event.LOGGED, visits, missed)
            self._settle_planned(visits, others - missed)

    @api.model
    def _settle_late(self, visits):
        """Settle what is planned or waits when missed visits turn out to have taken
        place."""
        if visits:
            self._settle_planned(visits, self._find(visits, ("planned",)))

    def _settle_missed(self, event, visits, missed):
        """Let each visit take the place of the latest missed one in whose window it
        was made."""
        in_reach = missed._filter_within_reach()
        by_key = defaultdict(list)
        for other in missed:
            by_key[other._get_account_key()].append(other)
        for visit in visits:
            others = by_key[visit._get_account_key()]
            for other in others:
                outcome = self._decide(
                    event,
                    visit,
                    Waits.MISSED,
                    is_in_time=(
                        other._get_earliest_day()
                        <= visit.date_done
                        <= other._get_window_end()
                    ),
                    is_in_reach=other in in_reach,
                )
                if outcome.fate is not Fate.STAYS:
                    others.remove(other)
                    self._take_place(visit, other, outcome)
                    break

    def _settle_planned(self, visits, planned):
        """Settle what is planned or waits for the accounts of visits."""
        planned = {other._get_account_key(): other for other in planned}
        rows = self._get_waiting_rows(visits)
        visits = visits.filtered(
            lambda visit: visit._get_account_key() in {**rows, **planned}
        )
        in_reach = visits.browse().union(*planned.values())._filter_within_reach()
        latest = {}
        for visit in self._filter_latest(visits):
            # of two on one day, one settles what was planned
            latest.setdefault(visit._get_account_key(), visit)
        outcomes = []
        for visit in visits:
            key = visit._get_account_key()
            other = planned.get(key, visits.browse())
            outcome = self._decide(
                # Once it has the place of a missed one, the cadence asked for it.
                Event.LATE if visit.date_due else Event.LOGGED,
                visit,
                self._get_waits(other, rows.get(key)),
                is_latest=visit == latest.get(key),
                is_in_time=bool(other) and visit.date_done >= other._get_earliest_day(),
                is_in_reach=other in in_reach,
            )
            outcomes.append((visit, other, outcome))
        closed = defaultdict(visits.browse)
        followed = visits.browse()
        for visit, other, outcome in outcomes:
            if outcome.fate in (Fate.TAKEN, Fate.REPLACED):
                self._take_place(visit, other, outcome)
            elif outcome.fate is Fate.CLOSED:
                closed[visit.date_done] |= other
            if outcome.plan is Plan.CADENCE:
                followed |= visit
        for day, others in closed.items():
            self._close_visited(others, day)
        followed._plan_next()

    # -------------------------------------------------------------------------
    # A visit promised the next one
    # -------------------------------------------------------------------------

    @api.model
    def _follow_promises(self, visits, before):
        """Do with the next visits what was corrected in reports.

        :param before: day and theme per visit before they were written
        """
        redated = visits.filtered(lambda visit: visit.next_date != before[visit][0])
        self._keep_promises(redated, {"next_date"})
        self._withdraw_promises(
            redated.filtered(lambda visit: not visit.next_date),
            {visit: day for visit, (day, _theme) in before.items()},
        )
        self._keep_promises(
            visits.filtered(lambda visit: visit.next_theme != before[visit][1]),
            {"next_theme"},
        )
        self.env["key.account.visit.task"]._tell_of_promises(
            {
                visit: visit.promise_activity_id.user_id
                for visit in visits.filtered("promise_activity_id")
            }
        )

    @api.model
    def _keep_promises(self, visits, names):
        """Bring the next visits to the day that the customers were promised, on which
        they stay, with the theme as the objective. A colleague whose visit it is, is
        told instead.

        :param names: the promises to keep: ``next_date``, ``next_theme``
        """
        visits = visits.filtered(
            lambda visit: visit.state == "done" and any(visit[name] for name in names)
        )
        if not visits:
            return
        latest = self._filter_latest(visits)
        planned = self._get_planned(latest)
        rows = self._get_waiting_rows(latest)
        dues = visits.env["key.account.due"].sudo()
        in_reach = {
            *visits.browse().union(*planned.values())._filter_within_reach(),
            *dues.union(*rows.values())._filter_within_reach(),
        }
        told = {}
        for visit in visits:
            key = visit._get_account_key()
            other, row = planned.get(visit.id, visits.browse()), rows.get(key, dues)
            day = "next_date" in names and visit.next_date
            if day and day < visit._get_today():
                # promised in a draft that was saved long ago
                day = False
            outcome = self._decide(
                Event.PROMISED,
                visit,
                self._get_waits(other, row),
                is_latest=visit in latest,
                is_in_reach=not (other or row) or (other or row) in in_reach,
                has_day=bool(day),
            )
            if outcome.is_told:
                told[visit] = (other or row).user_id
            if outcome.plan is Plan.PROMISE:
                other = self._plan_promised(visit, day, row, visit.next_theme)
            if outcome.plan is Plan.PROMISE or outcome.fate is Fate.PROMISED:
                theme = "next_theme" in names and visit.next_theme
                self._bring_to_promise(other, day, theme)
        self.env["key.account.visit.task"]._tell_of_promises(told)

    def _withdraw_promises(self, visits, days):
        """Let the cadence decide on visits that were promised for a day. What a person
        has moved since, or arranged a meeting for, stays.

        :param days: the day that was promised, per visit
        """
        if not visits:
            return
        planned = self._get_planned(visits)
        in_reach = visits.browse().union(*planned.values())._filter_within_reach()
        latest = self._filter_latest(visits)
        followed = closed = visits.browse()
        for visit in visits:
            other = planned.get(visit.id, visits.browse())
            outcome = self._decide(
                Event.WITHDRAWN,
                visit,
                self._get_waits(other, promised_day=days[visit]),
                is_latest=visit in latest,
                is_in_reach=other in in_reach,
            )
            if outcome.fate is not Fate.STAYS:
                other.is_date_fixed = False
            if outcome.fate is Fate.CLOSED:
                closed |= other
            if outcome.plan is Plan.CADENCE:
                followed |= visit
        closed._close(self.env._("The day is not promised any more"))
        followed._plan_next()

    # -------------------------------------------------------------------------
    # A visit was cancelled
    # -------------------------------------------------------------------------

    @api.model
    def _plan_resumed(self, visit):
        """Plan a visit that was cancelled for its day to come back, with its objective:
        on the first day from then on that its salesperson works and the customer
        receives. The cadence may go on from a visit before that day, as from any that
        it planned.
        """
        day, objective = visit.date_resume, visit.objective
        row = visit.env["key.account.due"]
        if visit.company_id.key_account_planning:
            row = row.search(
                self._get_accounts_domain(visit) & Domain("visit_id", "=", False)
            )
        if not row and visit._get_document().active:
            # no cadence asks for it: whoever cancelled it does
            self._plan_promised(visit, day, row, objective)
        elif (
            row and row.date_due == day and (vals := self._prepare_resumed(visit, row))
        ):
            visit.with_company(visit.company_id).create(vals)
        elif row:
            visit._plan_next()
            planned = self._get_planned(visit).get(visit.id)
            if planned and objective and not planned.objective:
                planned.objective = objective

    def _prepare_resumed(self, visit, row):
        """Return the values of the visit for the day to come back, on the first day
        from then on that will do: nobody was told to come back earlier. None if there
        is none far and wide."""
        day, user, substitution = visit.date_resume, row.user_id, {}
        is_covered = user and user == visit.substituted_user_id
        if is_covered and day <= visit.substituted_until:
            # away on that day: it is the substitute's too
            substitution = {
                "substituted_user_id": user.id,
                "substituted_until": visit.substituted_until,
            }
            user = visit.user_id
        last = min(day + timedelta(days=MAX_SEARCH_DAYS), bounds.LAST_DAY)
        days = self.env["key.account.agenda"]._get_working_days(
            user, row.company_id, day, last
        )
        working_days = days.get(user.id, ())
        free = min(filter(row._get_receiving().receives, working_days), default=None)
        return free and {
            **row._prepare_visit_values(free, user),
            **substitution,
            # the night would close it where nobody is near on that day
            "is_date_fixed": row.on_route,
            "objective": visit.objective,
        }

    # -------------------------------------------------------------------------
    # What there is
    # -------------------------------------------------------------------------

    def _decide(self, event, visit, waits, **facts):
        """Ask the table; a fact that is left out doesn't matter there."""
        facts = {
            "is_latest": True,
            "is_in_time": False,
            "is_in_reach": True,
            "has_day": False,
            **facts,
        }
        planning = visit.company_id.key_account_planning
        return decide(Situation(event, waits, is_planning=planning, **facts))

    def _get_waits(self, planned, row=None, promised_day=None):
        """Return what there is: a planned visit, and whose decision its day is, or a
        row of the backlog.

        :param promised_day: the day that the report promised so far
        """
        if not planned:
            return Waits.BACKLOG if row else Waits.NOTHING
        if not planned.cadence_id:
            return Waits.PERSON
        if not planned.is_date_fixed:
            return Waits.CADENCE
        if planned.date_planned == promised_day and not planned.calendar_event_id:
            return Waits.PROMISED
        return Waits.PERSON

    def _get_accounts_domain(self, visits):
        leads = visits.filtered(lambda visit: not visit.partner_id).lead_id
        return (
            Domain("company_id", "in", visits.company_id.ids)
            & Domain("track", "in", list(set(visits.mapped("track"))))
            & (
                Domain("partner_id", "in", visits.partner_id.ids)
                | (
                    Domain("partner_id", "=", False)
                    & Domain("lead_id", "in", leads.ids)
                )
            )
        )

    def _find(self, visits, states):
        """Return the visits in ``states`` to the same accounts on the same tracks,
        those that were planned last first."""
        return visits.search(
            self._get_accounts_domain(visits) & Domain("state", "in", states),
            order="date_planned desc, id desc",
        )

    @api.model
    def _get_planned(self, visits):
        """Return {visit id: the planned visit of the same account on the same track}
        for those that have one."""
        planned = self._find(visits, ("planned",))
        by_key = {other._get_account_key(): other for other in planned}
        return {
            visit.id: by_key[visit._get_account_key()]
            for visit in visits
            if visit._get_account_key() in by_key
        }

    def _get_waiting_rows(self, visits):
        """Return {account key: row} of what the last planning found no day for."""
        dues = visits.env["key.account.due"].sudo()
        domain = self._get_accounts_domain(visits) & Domain(
            [("visit_id", "=", False), ("reason", "!=", False)]
        )
        return {row._get_account_key(): row for row in dues.search(domain)}

    def _filter_latest(self, visits):
        """Return the done visits after which nobody visited the account on the
        track."""
        latest = {}
        groups = visits._read_group(
            self._get_accounts_domain(visits) & Domain("state", "=", "done"),
            ["partner_id", "lead_id", "company_id", "track"],
            ["date_done:max"],
        )
        for partner, lead, company, track, day in groups:
            key = get_account_key(partner.id, lead.id, company.id, track)
            latest[key] = max(day, latest.get(key, day))
        return visits.filtered(
            lambda visit: visit.date_done == latest.get(visit._get_account_key())
        )

    # -------------------------------------------------------------------------
    # What becomes of it
    # -------------------------------------------------------------------------

    def _close_visited(self, visits, day, **kwargs):
        """Cancel what need not take place any more: somebody was there on ``day``."""
        day = clock.format_day(self.env, day)
        visits._close(self.env._("Visited on %s", day), **kwargs)

    def _take_place(self, visit, other, outcome):
        """Let ``visit`` be the one that was planned, or marked missed: the cadence
        asked for it, its activity is done, and what its salesperson had noted already
        stays.

        :param outcome: whether both become one; if not, ``other`` is cancelled, and
            what was noted stays there, with its salesperson
        """
        is_taken = outcome.fate is Fate.TAKEN
        vals = {
            name: other._fields[name].convert_to_write(other[name], other)
            for name in (PLAN_FIELDS if is_taken else ASKED_FIELDS)
        }
        activity = other.activity_id.filtered("active")
        self._remove_later_meeting(other, visit.date_done)
        if is_taken:
            vals.update(self._get_draft_values(visit, other))
            if other.state == "missed":
                other._restore_draft()
            # What is detached doesn't go with the visit
            other.calendar_event_id = False
            self._take_activities(visit, other)
            other.commitment_ids.visit_id = visit
            self._take_log(visit, other)
            visit._take_check_in(other)
            other.unlink()
        else:
            # the meeting of that day took place, and the leader need not go after it
            other.write({"calendar_event_id": False, "date_escalated": False})
            self._close_visited(other, visit.date_done, unlink_activities=False)
        # whom the other one names worked there when they were named
        with paused(self.env, CHECK_CONTACTS):
            visit.write(vals)
        visit.commitment_ids._create_activities()
        activity.action_feedback(feedback=visit.feedback)

    def _get_draft_values(self, visit, other):
        """Return what is noted on ``other`` and not on ``visit``, to be written
        there."""
        vals = {
            name: other._fields[name].convert_to_write(other[name], other)
            for name in sorted(REPORT_FIELDS)
            if other[name] and not visit[name]
        }
        if visit.contact_ids:
            vals.pop("is_nobody_met", None)
        if visit.is_nobody_met:
            vals.pop("contact_ids", None)
        if "next_step" in vals:
            # with its reminder, which goes along
            vals["next_step_id"] = other.next_step_id.id
        day = vals.get("next_date")
        if day and (day < visit._get_today() or day <= visit.date_done):
            del vals["next_date"]
        if other.calendar_event_id and not visit.calendar_event_id:
            vals["calendar_event_id"] = other.calendar_event_id.id
        return vals

    def _take_activities(self, visit, other):
        """Move the activities of ``other`` to ``visit``, where it has none of the
        kind."""
        tasks = other.task_ids.filtered(
            lambda task: task.key_account_role in TAKEN_ROLES
        )
        own = set(visit.task_ids.mapped("key_account_role"))
        taken = tasks.filtered(lambda task: task.key_account_role not in own)
        taken.key_account_visit_id = visit
        (tasks - taken).key_account_visit_id = False

    def _take_log(self, visit, other):
        """Move messages, attachments and followers of ``other`` to ``visit``."""
        for model, column in (
            ("mail.message", "model"),
            ("ir.attachment", "res_model"),
        ):
            visit.env[model].search(
                [(column, "=", visit._name), ("res_id", "=", other.id)]
            ).write({"res_id": visit.id})
        visit.message_subscribe(other.message_partner_ids.ids)

    def _remove_later_meeting(self, visit, day):
        """Take the visit's meeting out of the calendar if it is after ``day``."""
        event = visit.calendar_event_id
        if not event:
            return
        if visit._get_meeting_day() > day:
            visit._remove_meetings()
            if visit.calendar_event_id:
                visit._release_meetings(event)

    def _bring_to_promise(self, planned, day, theme):
        """Move a planned visit to the day that was promised, on which it stays, with
        the theme as its objective.

        :param day: False leaves the day
        :param theme: False leaves the objective
        """
        vals = {}
        if day and planned.date_planned != day:
            vals["date_planned"] = day
        elif day:
            vals["is_date_fixed"] = True
        if theme:
            vals["objective"] = theme
        planned.write(vals)

    def _plan_promised(self, visit, day, row, objective):
        """Plan the visit that was promised for ``day``: what waits in the backlog, or
        one that the cadence doesn't ask for.

        :param visit: the one at which it was promised
        :param row: what waits, if anything does
        """
        if row:
            vals = row._prepare_visit_values(day, row.user_id)
        else:
            user = visit._get_successor()
            vals = {
                "partner_id": visit.partner_id.id,
                "lead_id": visit.lead_id.id,
                "company_id": visit.company_id.id,
                "user_id": user.id,
                "team_id": visit.team_id.id,
                "track": visit.track,
                "date_planned": day,
                "is_date_fixed": True,
            }
            if user == visit.user_id:
                # a substitute's comes back as this one would have
                vals["substituted_user_id"] = visit.substituted_user_id.id
                vals["substituted_until"] = visit.substituted_until
        vals["objective"] = objective
        return visit.with_company(visit.company_id).create(vals)
