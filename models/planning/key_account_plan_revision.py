from collections import defaultdict

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from ...const import BATCH_SIZE, LOWEST_LEVEL
from ...engine import planner
from ..account import clock
from ..account.attempts import do_each
from ..account.outsiders import get_outsiders_sql
from ..account.receiving import get_receiving
from .key_account_cadence import CALL_TRACKS
from .pages import take_page


class KeyAccountPlanRevision(models.AbstractModel):
    """What was planned and doesn't hold any more: missed visits, those that the cadence
    doesn't ask for, and those on a route that nobody takes on that day.

    Each method closes what it finds at once; a night hands over ``after``, 0 at first,
    and has back what to hand over next, until that is None (:func:`.pages.take_page`).
    """

    _name = "key.account.plan.revision"
    _description = "Revision of Planned Visits"

    @api.model
    def _mark_missed(self, company, partner_ids=None, today=None, after=None):
        """Mark generated visits whose window has passed as missed: 30 % of the interval
        after the due date, or after the day for which they were planned, or to which a
        person moved them, if that is later.

        The account stays due, and so gets one new visit: however many windows pass,
        there is one planned visit. Visits that a person planned have no window.
        """
        domain = Domain(
            [
                ("company_id", "=", company.id),
                ("state", "=", "planned"),
            ]
        )
        if partner_ids is not None:
            domain &= Domain("partner_id", "in", partner_ids)
        # nowhere is it later than a day after here
        latest = today or clock.get_latest_today()
        visits = self.env["key.account.visit"].search(
            domain & Domain("date_latest", "<", latest)
        )
        missed = visits.browse()
        for visit in visits:
            here = today or visit._get_today()
            # what is planned for a day to come has a window that no calendar may hold
            if visit.date_planned < here and visit._get_window_end() < here:
                missed |= visit
        missed, following = take_page(missed, after)
        do_each(missed, self._miss)
        return following

    @api.model
    def _miss(self, visits):
        activities = visits.activity_id
        visits.write({"state": "missed"})
        # The next visit must not meet them in the unique indexes.
        visits.flush_recordset()
        activities.unlink()

    @api.model
    def _close_outdated(self, company, partner_ids=None, after=None):
        """Close generated visits that the cadence doesn't ask for any more: the
        customer's tier or level changed, or there is no line for it, or the customer is
        lost or came back. What a person moved stays, and so does the visit to win a
        customer back. The generator plans anew where another line asks for a visit."""
        # those who left on a day that was in the future when it was entered
        leaving = Domain("company_id", "=", company.id) & Domain(
            "target_contact_id.left_company_date", "!=", False
        )
        if partner_ids is not None:
            leaving &= Domain("partner_id", "in", partner_ids)
        self.env["key.account.visit.follow"]._follow_contacts(leaving)
        lines = self.env["key.account.cadence"]._get_lines(company)
        rows = self._get_changed_rows(company, lines, partner_ids)
        visits = self.env["key.account.visit"].browse(row["id"] for row in rows)
        losses = self.env["key.account.loss"].browse(
            {row["loss_id"] for row in rows} - {None}
        )
        lost_reasons = {loss.id: loss._get_visit_reason() for loss in losses}
        by_reason = defaultdict(visits.browse)
        for visit, row in zip(visits, rows, strict=True):
            if row["is_outsider"]:
                by_reason[self.env._("Not an account")] |= visit
                continue
            if row["loss_id"] or visit.loss_id:
                back = self.env._("The customer came back")
                by_reason[lost_reasons.get(row["loss_id"], back)] |= visit
                continue
            line = self._get_line(lines, visit, row)
            if not line or line != visit.cadence_id:
                by_reason[self._get_change_reason(visit, row)] |= visit
        page, following = take_page(visits.union(*by_reason.values()), after)
        for reason, outdated in by_reason.items():
            outdated &= page
            for batch in split_every(BATCH_SIZE, outdated.ids, visits.browse):
                do_each(batch, lambda each, reason=reason: each._close(reason))
        if following is None:
            self._refresh_stages(company, partner_ids)
        return following

    @api.model
    def _get_changed_rows(self, company, lines, partner_ids):
        """Return what holds now for generated visits whose customer changed in a way
        that the cadence, or a loss, may ask for another visit.

        :return: dictionaries with ``id`` of the visit, ``loss_id``, ``is_outsider``,
            ``tier_id``, ``relationship_level``, ``engagement_stage``
        """
        self.env.flush_all()
        return self.env.execute_query_dict(
            SQL(
                """
                SELECT visit.id, loss.id AS loss_id,
                       (visit.partner_id IN (%(outsiders)s)) IS TRUE AS is_outsider,
                       now.*
                  FROM key_account_visit visit
                  LEFT JOIN key_account_loss loss
                         ON loss.partner_id = visit.partner_id
                        AND loss.company_id = visit.company_id
                        AND loss.date_returned IS NULL
                  LEFT JOIN key_account card
                         ON card.partner_id = visit.partner_id
                        AND card.company_id = visit.company_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = visit.lead_id AND visit.partner_id IS NULL
                 CROSS JOIN LATERAL (
                       SELECT COALESCE(card.tier_id, lead.account_tier_id) AS tier_id,
                              COALESCE(card.relationship_level,
                                       lead.relationship_level, 'transactional')
                                  AS relationship_level,
                              COALESCE(card.engagement_stage, lead.engagement_stage,
                                       'target') AS engagement_stage
                     ) AS now
                 WHERE visit.company_id = %(company)s
                   AND visit.state = 'planned'
                   -- generated: a cadence line asked for it
                   AND visit.date_due IS NOT NULL
                   AND visit.is_date_fixed IS NOT TRUE
                   AND (visit.partner_id IN (%(outsiders)s)
                        OR visit.loss_id IS DISTINCT FROM loss.id
                        OR loss.id IS NULL
                        AND (visit.tier_id IS DISTINCT FROM now.tier_id
                             OR COALESCE(visit.relationship_level, 'transactional')
                                != now.relationship_level
                             OR COALESCE(visit.engagement_stage, 'target')
                                != now.engagement_stage
                             OR NOT visit.cadence_id = ANY(%(lines)s)
                             OR visit.cadence_id IS NULL))
                   AND (%(everybody)s OR visit.partner_id = ANY(%(partners)s))
                """,
                outsiders=get_outsiders_sql(self.env, company),
                company=company.id,
                lines=lines.ids,
                everybody=partner_ids is None,
                partners=list(partner_ids or []),
            )
        )

    @api.model
    def _get_change_reason(self, visit, row):
        """Return in words what changed since the visit was planned."""
        old_level = visit.relationship_level or LOWEST_LEVEL
        old_stage = visit.engagement_stage or "target"
        none = self.env._("none")
        if row["relationship_level"] != old_level:
            levels = self._get_labels("relationship_level")
            return self.env._(
                "Relationship level changed from %(old)s to %(new)s",
                old=levels[old_level],
                new=levels[row["relationship_level"]],
            )
        if row["tier_id"] != (visit.tier_id.id or None):
            tier = self.env["key.account.tier"].browse(row["tier_id"] or ())
            return self.env._(
                "Tier changed from %(old)s to %(new)s",
                old=visit.tier_id.name or none,
                new=tier.name or none,
            )
        if row["engagement_stage"] != old_stage:
            stages = self._get_labels("engagement_stage")
            return self.env._(
                "Stage changed from %(old)s to %(new)s",
                old=stages[old_stage],
                new=stages[row["engagement_stage"]],
            )
        return self.env._("The cadence changed")

    @api.model
    def _get_labels(self, name):
        field = self.env["key.account.visit"]._fields[name]
        return dict(field._description_selection(self.env))

    @api.model
    def _get_line(self, lines, visit, row):
        """Return the line that asks for a planned visit now."""
        own_interval = 0
        if visit.track == "visit":
            account = visit.partner_id.with_company(visit.company_id)
            own_interval = account.visit_interval_days
        return lines._match(
            row["tier_id"],
            visit.track,
            own_interval,
            row["relationship_level"],
            row["engagement_stage"],
        )

    @api.model
    def _refresh_stages(self, company, partner_ids=None):
        """Note on planned visits what is going on with the customer today, which orders
        the visits of a day."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_visit visit
                   SET engagement_stage = stages.stage
                  FROM (
                        SELECT planned.id, COALESCE(card.engagement_stage,
                               lead.engagement_stage, 'target') AS stage
                          FROM key_account_visit planned
                          LEFT JOIN key_account card
                                 ON card.partner_id = planned.partner_id
                                AND card.company_id = planned.company_id
                          LEFT JOIN crm_lead lead
                                 ON lead.id = planned.lead_id
                                AND planned.partner_id IS NULL
                         WHERE planned.company_id = %(company)s
                           AND planned.state = 'planned'
                           AND (%(all)s OR planned.partner_id = ANY(%(partners)s))
                       ) AS stages
                 WHERE visit.id = stages.id
                   AND visit.engagement_stage IS DISTINCT FROM stages.stage
             RETURNING visit.id
                """,
                company=company.id,
                all=partner_ids is None,
                partners=list(partner_ids or []),
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        self.env["key.account.visit"].browse(ids).invalidate_recordset(
            ["engagement_stage"]
        )

    @api.model
    def _close_not_received(self, company, partner_ids):
        """Close visits that were planned for days on which, as somebody has just said,
        these customers receive nobody. The planner looks for other days. What a person
        moved stays.

        :return: the visits
        """
        visits = self.env["key.account.visit"].search(
            [
                ("company_id", "=", company.id),
                ("partner_id", "in", partner_ids),
                ("state", "=", "planned"),
                # generated: a cadence line asked for it
                ("date_due", "!=", False),
                ("is_date_fixed", "=", False),
            ]
        )
        hours = self.env["key.account"]._get_receiving_hours(
            (visit.partner_id.id, company.id) for visit in visits
        )
        kept_out = visits.filtered(
            lambda visit: (
                visit.date_planned >= visit._get_today()
                and not get_receiving(
                    hours.get((visit.partner_id.id, company.id)), visit.mode
                ).receives(visit.date_planned)
            )
        )
        reason = self.env._("They don't receive on that day")
        do_each(kept_out, lambda each: each._close(reason))
        return kept_out

    @api.model
    def _close_off_route(self, company, partner_ids=None, today=None, after=None):
        """Close visits that were planned for a day on which their salesperson would be
        near, where the others of that day have gone. The generator looks for another
        day. What a person moved stays, and so does the visit to win a customer back."""
        domain = Domain("company_id", "=", company.id) & Domain(
            [
                ("state", "=", "planned"),
                ("cadence_id.on_route", "=", True),
                ("track", "not in", CALL_TRACKS),
                ("loss_id", "=", False),
                ("is_date_fixed", "=", False),
                ("user_id", "!=", False),
            ]
        )
        if partner_ids is not None:
            domain &= Domain("partner_id", "in", partner_ids)
        visits = self.env["key.account.visit"].search(domain)
        if not visits:
            return None
        nearness = company._get_key_account_nearness()
        booked = self.env["key.account.agenda"]._get_booked(
            visits.user_id, with_areas=True
        )
        anchors = defaultdict(list)
        for user_id, others in booked.items():
            for other in others:
                # as the planner does: a call is no trip
                if other.on_site and not other.on_route:
                    anchors[user_id, other.day].append(other.area)
        keys = {visit: visit._get_account_key()[:2] for visit in visits}
        areas = self.env["key.account.agenda"]._get_areas(keys.values())
        stray = visits.filtered(
            lambda visit: (
                visit.date_planned >= (today or visit._get_today())
                and not any(
                    nearness.is_near(areas.get(keys[visit], planner.NOWHERE), area)
                    for area in anchors[visit.user_id.id, visit.date_planned]
                )
            )
        )
        stray, following = take_page(stray, after)
        reason = self.env._("Nothing else to do nearby on that day")
        do_each(stray, lambda each: each._close(reason))
        return following
