from collections import defaultdict
from datetime import date
from textwrap import shorten

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, formatLang

from ...engine import buying_center
from ..account import clock, features, words
from ..account.key_account import DEFAULT_MONTHS

# What fits on a phone: the rest is counted.
MAX_CONTACTS = 5
MAX_LINES = 3
MAX_TEXT = 180

STANCE_BADGES = {
    "champion": "text-bg-success",
    "supporter": "text-bg-info",
    "neutral": "text-bg-secondary",
    "opponent": "text-bg-danger",
}
# What waits first
COMMITMENT_BADGES = {
    "overdue": "text-bg-danger",
    "open": "text-bg-info",
    "kept": "text-bg-success",
    "dropped": "text-bg-secondary",
}


class KeyAccountVisitBrief(models.AbstractModel):
    """What the rep needs to know before a visit. Reads alone, with the rights of
    whoever opens it."""

    _name = "key.account.visit.brief"
    _description = "Brief of Visits"

    # -------------------------------------------------------------------------
    # Brief
    # -------------------------------------------------------------------------

    @api.model
    def _get_values(self, visits):
        """Return what the briefs of ``visits`` show, read with the rights of the user:
        ``{visit id: values of the template}``.

        All visits are of the environment's company. The number of queries depends
        neither on the number of visits nor on that of documents.
        """
        # Unreadable customers and leads have no brief; new visits can name any.
        accounts = self._search_readable(
            "res.partner", Domain("id", "in", visits.partner_id._origin.ids), ["name"]
        )
        alone = visits.filtered(lambda visit: not visit.partner_id)
        leads = self._search_readable(
            "crm.lead", Domain("id", "in", alone.lead_id._origin.ids), ["name"]
        )
        people = self._get_contacts(accounts)
        parts = {
            "open": self._get_documents(accounts),
            "last": self._get_last_visits(accounts, leads),
            "ladder": self._get_ladder(accounts),
        }
        commitments = self._get_commitments(accounts, leads, parts["last"])
        complaints = self._get_complaints(accounts, leads, parts["last"])
        items = self.env["key.account.checklist.item"]
        if features.is_used(self.env, features.BUYING_CENTER):
            items = items._get_items(self.env.company)
        result = {}
        for visit in visits:
            record = (visit.partner_id or visit.lead_id)._origin
            if record not in (accounts if visit.partner_id else leads):
                result[visit.id] = None
                continue
            last = parts["last"].get(record)
            values = {
                "reason": self._get_reason(visit),
                "theme": last and last.next_theme,
                # the switchboard; people and leads have their own
                "place": {
                    "phone": visit.partner_id and record.phone,
                    "email": visit.partner_id and record.email,
                    "map_url": visit.map_url,
                },
                "people": self._get_people(visit, people.get(record, accounts[:0])),
                "lead": self._get_lead(record),
                "open": parts["open"].get(record),
                "complaints": complaints.get(record),
                "commitments": commitments.get(record),
                "ladder": parts["ladder"].get(record),
                "last": last and self._get_last(last),
                "strategy": visit.engagement_strategy,
            }
            tier = visit.tier_id or record.account_tier_id
            values["is_empty"] = not any(
                values[key] for key in values.keys() - {"reason", "place", "strategy"}
            )
            values["checklist"] = items._match(tier, visit.mode).mapped("name")
            result[visit.id] = values
        return result

    @api.model
    def _search_readable(self, model, domain, names, order=None):
        """Return what the user may read of ``domain``: nothing without the right to
        read the model."""
        records = self.env[model]
        if not records.has_access("read"):
            return records
        return records.search_fetch(domain, names, order=order)

    @api.model
    def _get_reason(self, visit):
        """Return why the customer is to be seen."""
        today = fields.Date.context_today(self)
        late = visit._get_days_overdue(today)
        stages = {
            "quotation": self.env._("A quotation is out"),
            "contract": self.env._("A contract is running"),
            "opportunity": self.env._("An opportunity is open"),
            "lead": self.env._("There is a lead"),
        }
        overdue = False
        if late == 1:
            overdue = self.env._("1 day late")
        elif late > 1:
            overdue = self.env._("%s days late", late)
        return {
            "summary": visit.summary,
            "overdue": overdue,
            "is_today": not overdue and visit.date_planned == today,
            "due": visit.date_due
            and visit.date_due != visit.date_planned
            and clock.format_day(self.env, visit.date_due),
            "stage": stages.get(visit.engagement_stage),
        }

    @api.model
    def _get_contacts(self, accounts):
        """Return {account: those at the account who can be met}."""
        contacts = self._search_readable(
            "res.partner",
            self.env["res.partner"]._get_present_domain(
                accounts, self.env.company, fields.Date.context_today(self)
            ),
            ["name", "function", "phone", "email", "decision_level", "stance"],
            order="name, id",
        )
        # An account that is a person is no contact of its own.
        return (contacts - accounts).grouped("commercial_partner_id")

    @api.model
    def _get_people(self, visit, contacts):
        """Return whom to see: the gap of the buying centre, and the contacts, the ones
        to see first in front."""
        account = visit.partner_id
        tier = account.account_tier_id.sudo()
        months = tier.coverage_months or DEFAULT_MONTHS
        gap = []
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        # Who sees own documents only doesn't see all the visits to a colleague's.
        if has_roles and account and account._is_own_account():
            gap = self._get_gap(tier.cell_ids, contacts, months)
        cells = [key for key, _name in gap]
        target = visit.target_contact_id._origin

        def is_missing(contact):
            return any(
                buying_center.matches(self._get_person(contact), cell) for cell in cells
            )

        ordered = contacts.sorted(
            lambda contact: (
                contact != target,
                not is_missing(contact),
                has_roles and not (contact.buying_role_ids or contact.decision_level),
                contact.last_met_date or date.min,
            )
        )
        to_see = False
        if target not in contacts:
            to_see = visit.env["key.account.tier.cell"]._get_target_text(
                # while a visit is edited, a client can name any contact
                target if target and visit._is_shown(target) else target.browse(),
                visit.target_role_id if has_roles else visit.target_role_id.browse(),
                has_roles and visit.target_level,
            )
        values = {
            "to_see": to_see,
            "gap": words.join_clauses(self.env, (name for _key, name in gap)),
            "months": months,
            "contacts": [
                self._get_contact(contact, contact == target)
                for contact in ordered[:MAX_CONTACTS]
            ],
            "more": max(len(contacts) - MAX_CONTACTS, 0),
        }
        return any((to_see, gap, contacts)) and values

    @api.model
    def _get_person(self, contact):
        return buying_center.Contact(
            contact.id,
            frozenset(contact.buying_role_ids.ids),
            contact.decision_level or None,
            contact.last_met_date,
        )

    @api.model
    def _get_gap(self, cells, contacts, months):
        """Return the required cells without anybody who was met within the period, as
        a list of ((role id, level), name)."""
        today = clock.get_today(self.env.company)
        met = [
            self._get_person(contact)
            for contact in contacts
            if contact.last_met_date
            and contact.last_met_date <= today
            and contact.last_met_date + relativedelta(months=months) > today
        ]
        gap = []
        for cell in cells:
            key = (cell.role_id.id or None, cell.decision_level or None)
            if not any(buying_center.matches(person, key) for person in met):
                gap.append((key, cell.display_name))
        return gap

    @api.model
    def _get_contact(self, contact, is_target):
        levels = dict(
            contact._fields["decision_level"]._description_selection(self.env)
        )
        stances = dict(contact._fields["stance"]._description_selection(self.env))
        met = self.env._("never met")
        if contact.last_met_date:
            met = self.env._(
                "met %s", clock.format_day(self.env, contact.last_met_date)
            )
        facts = [contact.function, met]
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        if has_roles:
            facts = [
                *contact.buying_role_ids.mapped("name"),
                levels.get(contact.decision_level),
                *facts,
            ]
        return {
            "url": f"/odoo/res.partner/{contact.id}",
            "name": contact.name,
            "phone": contact.phone,
            "email": contact.email,
            "is_target": is_target,
            "stance": has_roles and stances.get(contact.stance),
            "stance_class": STANCE_BADGES.get(contact.stance),
            "facts": " · ".join(fact for fact in facts if fact),
        }

    @api.model
    def _get_lead(self, record):
        """Return the facts of a lead that has no customer yet."""
        if record._name != "crm.lead":
            return None
        facts = [record.contact_name, record.function, record.partner_name]
        return {
            "line": self._get_lead_line(record),
            "facts": " · ".join(fact for fact in facts if fact),
            "phone": record.phone,
            "email": record.email_from,
        }

    # What is open ------------------------------------------------------------

    @api.model
    def _get_documents(self, accounts):
        """Return {account: what is open there}, the most urgent kind first."""
        of_accounts = Domain("partner_id.commercial_partner_id", "in", accounts.ids)
        lines = defaultdict(list)
        for account, kind, line in (
            *self._get_invoices(accounts),
            *self._get_orders(of_accounts),
            *self._get_leads(of_accounts),
        ):
            lines[account, kind].append(line)
        kinds = {
            "invoice": self.env._("Overdue invoices"),
            "quotation": self.env._("Quotations"),
            "lead": self.env._("Opportunities"),
            "order": self.env._("Open orders"),
        }
        result = defaultdict(list)
        for kind, name in kinds.items():
            for account in accounts:
                found = lines.get((account, kind))
                if found:
                    found.sort(key=lambda line: -line["amount"])
                    result[account].append(self._get_kind(name, found))
        return result

    @api.model
    def _get_kind(self, name, lines):
        """Return documents of a kind: the largest as lines, the others as a sum, and
        how old the oldest is."""
        rest = lines[MAX_LINES:]
        oldest = max(lines, key=lambda line: line["days"])
        return {
            "name": name,
            "count": len(lines),
            "age": oldest["age"],
            "total": self._format_amount(sum(line["amount"] for line in lines)),
            "lines": lines[:MAX_LINES],
            "more": len(rest),
            "more_total": self._format_amount(sum(line["amount"] for line in rest)),
        }

    @api.model
    def _format_amount(self, amount):
        """Write an amount of the company's currency; whole units are enough."""
        return formatLang(
            self.env,
            amount,
            currency_obj=self.env.company.currency_id,
            rounding_unit="units",
        )

    @api.model
    def _get_line(self, record, amount, days, facts):
        """Return a document as one line.

        :param amount: in the company's currency
        :param int days: how old, or how late it is
        """
        age = self._get_age(days)
        if record._name == "account.move":
            age = self.env._("1 day overdue")
            if days > 1:
                age = self.env._("%s days overdue", days)
        facts = [age, *facts]
        return {
            "url": f"/odoo/{record._name}/{record.id}",
            "name": record.name,
            "days": days,
            "age": age,
            "amount": amount,
            "amount_text": self._format_amount(amount) if amount else "",
            "facts": " · ".join(fact for fact in facts if fact),
        }

    @api.model
    def _get_age(self, days):
        if days <= 0:
            return self.env._("from today")
        if days == 1:
            return self.env._("1 day old")
        return self.env._("%s days old", days)

    @api.model
    def _get_days(self, moment):
        """Return how many days ago ``moment`` was, by the days of the user."""
        today = fields.Date.context_today(self)
        return (today - fields.Date.context_today(self, moment)).days

    @api.model
    def _get_leads(self, of_accounts):
        leads = self._search_readable(
            "crm.lead",
            of_accounts
            & Domain(
                "company_id",
                "in",
                [*self.env.company._get_key_account_branches().ids, False],
            )
            & Domain("won_status", "=", "pending"),
            [
                "name",
                "partner_id",
                "expected_revenue",
                "stage_id",
                "type",
                "create_date",
                "company_id",
                "team_id",
                "user_id",
            ],
        )
        fallback = self.env["res.company"]._get_key_account_fallback()
        for lead in leads:
            if lead._get_key_account_company(fallback) == self.env.company:
                # sudo: of a readable lead
                account = lead.sudo().partner_id.commercial_partner_id
                yield account.sudo(False), "lead", self._get_lead_line(lead)

    @api.model
    def _get_lead_line(self, lead):
        return self._get_line(
            lead,
            lead.expected_revenue,
            self._get_days(lead.create_date),
            # sudo: a stage may be another team's
            [lead.sudo().stage_id.name if lead.type == "opportunity" else ""],
        )

    @api.model
    def _get_orders(self, of_accounts):
        """Yield quotations, and orders that aren't delivered or invoiced in full."""
        names = [
            "name",
            "partner_id",
            "amount_total",
            "currency_rate",
            "state",
            "date_order",
            "validity_date",
            "invoice_status",
        ]
        running = Domain("invoice_status", "in", ["no", "to invoice"])
        has_deliveries = "delivery_status" in self.env["sale.order"]._fields
        if has_deliveries:
            names.append("delivery_status")
            running |= Domain(
                "delivery_status", "in", ["pending", "started", "partial"]
            )
        branches = self.env.company._get_key_account_branches()
        orders = self._search_readable(
            "sale.order",
            of_accounts
            & Domain("company_id", "in", branches.ids)
            & (
                Domain("state", "in", ["draft", "sent"])
                | Domain("state", "=", "sale") & running
            ),
            names,
        )
        today = fields.Date.context_today(self)
        for order in orders:
            # sudo: the contact of a readable order
            account = order.sudo().partner_id.commercial_partner_id.sudo(False)
            amount = order.amount_total / (order.currency_rate or 1.0)
            days = self._get_days(order.date_order)
            facts = []
            kind = "quotation"
            if order.state == "sale":
                kind = "order"
                if has_deliveries and order.delivery_status:
                    if order.delivery_status != "full":
                        facts.append(self.env._("to deliver"))
                elif order.invoice_status == "no":
                    facts.append(self.env._("to deliver"))
                if order.invoice_status == "to invoice":
                    facts.append(self.env._("to invoice"))
            elif order.validity_date and order.validity_date < today:
                facts.append(self.env._("expired"))
            yield account, kind, self._get_line(order, amount, days, facts)

    @api.model
    def _get_invoices(self, accounts):
        today = fields.Date.context_today(self)
        branches = self.env.company._get_key_account_branches()
        invoices = self._search_readable(
            "account.move",
            Domain("commercial_partner_id", "in", accounts.ids)
            & Domain("company_id", "in", branches.ids)
            & Domain("move_type", "=", "out_invoice")
            & Domain("state", "=", "posted")
            & Domain("payment_state", "in", ["not_paid", "partial"])
            & Domain("invoice_date_due", "<", today),
            [
                "name",
                "commercial_partner_id",
                "amount_residual_signed",
                "invoice_date_due",
            ],
        )
        for invoice in invoices:
            days = (today - invoice.invoice_date_due).days
            amount = invoice.amount_residual_signed
            line = self._get_line(invoice, amount, days, [])
            account = invoice.sudo().commercial_partner_id.sudo(False)
            yield account, "invoice", line

    @api.model
    def _get_commitments(self, accounts, leads, last_visits):
        """Return {account or lead: commitments}: those that are open, all of the last
        visit, and what became of the others since then."""
        found = self._search_readable(
            "key.account.commitment",
            Domain("company_id", "=", self.env.company.id)
            & (
                Domain("partner_id", "in", accounts.ids)
                | Domain("partner_id", "=", False)
                & Domain("visit_id.lead_id", "in", leads.ids)
            ),
            ["name", "partner_id", "visit_id", "date_deadline", "state", "date_done"],
            order="date_deadline, id",
        )
        today = fields.Date.context_today(self)
        badges = dict(found._fields["state"]._description_selection(self.env))
        badges["overdue"] = self.env._("Overdue")
        result = defaultdict(list)
        for item in found:
            # sudo: of a readable commitment
            record = item.partner_id or item.sudo().visit_id.lead_id.sudo(False)
            is_open = item.state == "open"
            if not is_open:
                last = last_visits.get(record)
                is_news = last and item.date_done and item.date_done >= last.date_done
                if not is_news and item.visit_id != last:
                    continue
            state = item.state
            if is_open and item.date_deadline and item.date_deadline < today:
                state = "overdue"
            result[record].append(
                {
                    "state": state,
                    "name": item.name,
                    "day": clock.format_day(self.env, item.date_deadline),
                    "badge": badges[state],
                    "color": COMMITMENT_BADGES[state],
                }
            )
        order = list(COMMITMENT_BADGES)
        for lines in result.values():
            lines.sort(key=lambda line: order.index(line["state"]))
        return result

    @api.model
    def _get_complaints(self, accounts, leads, last_visits):
        """Return {account or lead: complaints}: those that are open, and what was
        resolved since the last visit."""
        if not last_visits:
            return {}
        since = min(visit.date_done for visit in last_visits.values())
        found = self._search_readable(
            "key.account.visit",
            Domain("company_id", "=", self.env.company.id)
            & Domain("state", "=", "done")
            & Domain("complaint", "!=", False)
            & (
                Domain("date_resolved", "=", False)
                | Domain("date_resolved", ">=", since)
            )
            & (
                Domain("partner_id", "in", accounts.ids)
                | Domain("partner_id", "=", False) & Domain("lead_id", "in", leads.ids)
            ),
            ["complaint", "partner_id", "lead_id", "date_done", "date_resolved"],
            order="date_done, id",
        )
        result = defaultdict(list)
        for visit in found:
            record = visit.partner_id or visit.lead_id
            last, day = last_visits.get(record), visit.date_resolved
            if day and (not last or day < last.date_done):
                continue
            result[record].append(
                {
                    "url": f"/odoo/key.account.visit/{visit.id}",
                    "text": shorten(visit.complaint, MAX_TEXT, placeholder=" …"),
                    "day": clock.format_day(self.env, visit.date_done),
                    "resolved": day and clock.format_day(self.env, day),
                }
            )
        for lines in result.values():
            lines.sort(key=lambda line: bool(line["resolved"]))
        return result

    # Where we stand ----------------------------------------------------------

    @api.model
    def _get_ladder(self, accounts):
        """Return {account: what the relationship still needs}, as far as levels and the
        buying centre are used."""
        has_levels = features.is_used(self.env, features.EVIDENCE)
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        if not has_levels and not has_roles:
            return {}
        cards = self._search_readable(
            "key.account",
            Domain("partner_id", "in", accounts.ids)
            & Domain("company_id", "=", self.env.company.id),
            [
                "partner_id",
                "relationship_level",
                "suggested_relationship_level",
                "relationship_direction",
                "relationship_gap",
                "is_single_threaded",
                "met_contact_count",
                "met_user_count",
            ],
        )
        levels = dict(
            cards._fields["relationship_level"]._description_selection(self.env)
        )
        result = {}
        for card in cards:
            supported = gap = threads = False
            if has_levels:
                gap = card.relationship_gap_text
                if card.relationship_direction:
                    supported = levels.get(card.suggested_relationship_level)
            if has_roles and card.is_single_threaded:
                threads = self.env._("Single-threaded: %s", card._get_thread_text())
            if supported or threads or gap:
                result[card.partner_id] = {
                    "level": has_levels and levels.get(card.relationship_level),
                    "supported": supported,
                    "direction": card.relationship_direction,
                    "gap": gap,
                    "threads": threads,
                }
        return result

    @api.model
    def _get_last_visits(self, accounts, leads):
        """Return {account or lead: its last done visit}, of those the user may read."""
        Visits = self.env["key.account.visit"]
        Visits.flush_model(["date_done", "lead_id", "partner_id"])
        done = Visits._search(
            Domain("company_id", "=", self.env.company.id)
            & Domain("state", "=", "done")
            & (
                Domain("partner_id", "in", accounts.ids)
                | Domain("partner_id", "=", False) & Domain("lead_id", "in", leads.ids)
            )
        )
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (
                           partner_id, CASE WHEN partner_id IS NULL THEN lead_id END)
                       id
                  FROM key_account_visit
                 WHERE id IN %s
                 ORDER BY partner_id, CASE WHEN partner_id IS NULL THEN lead_id END,
                          date_done DESC, id DESC
                """,
                done.subselect(),
            )
        )
        visits = Visits.browse(row[0] for row in rows)
        return {visit.partner_id or visit.lead_id: visit for visit in visits}

    @api.model
    def _get_last(self, visit):
        """Return what came of a done visit."""
        modes = dict(visit._fields["mode"]._description_selection(self.env))
        # sudo: whoever may read the visit may read who met whom
        visit = visit.sudo()
        texts = [
            (self.env._("Notes"), visit.feedback),
            (self.env._("Needs"), visit.needs),
            (self.env._("Objections"), visit.objections),
            (self.env._("Next step"), visit.next_step),
        ]
        return {
            "url": f"/odoo/key.account.visit/{visit.id}",
            "day": clock.format_day(self.env, visit.date_done),
            "facts": " · ".join(
                fact for fact in (modes.get(visit.mode), visit.user_id.name) if fact
            ),
            "met": visit._get_met_text(),
            "objective": visit.objective,
            "reached": visit._get_result_text(),
            "reached_class": {
                "reached": "text-bg-success",
                "partly": "text-bg-warning",
                "not_reached": "text-bg-danger",
            }.get(visit.objective_reached),
            "texts": [
                (
                    words.get_label(self.env, name),
                    shorten(text, MAX_TEXT, placeholder=" …"),
                )
                for name, text in texts
                if text and text.strip()
            ],
        }
