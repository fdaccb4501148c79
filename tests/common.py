from datetime import date
from unittest.mock import patch

from odoo import Command
from odoo.tests import TransactionCase, new_test_user

from ..models.tiering.methods import METHODS

SALES = "sales_team.group_sale_salesman"
SALES_ALL = "sales_team.group_sale_salesman_all_leads"
SALES_ADMIN = "sales_team.group_sale_manager"
TODAY = date(2026, 3, 18)  # a Wednesday
chart_templates = {}


class KeyAccountCommon(TransactionCase):
    """A company of its own, so that demo data doesn't get into the figures: with a
    chart of accounts, a 40-hour week, a sales team and every kind of user."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Activities are what this is about: no shortcuts of the mail tests.
        cls.env = cls.env(context={"lang": "en_US"})
        cls.company = cls._create_company("Key Account Test")
        cls.env.user.write(
            {
                "company_ids": [Command.link(cls.company.id)],
                "company_id": cls.company.id,
                "tz": "UTC",
            }
        )
        cls.env = cls.env(
            context={"lang": "en_US", "allowed_company_ids": cls.company.ids}
        )
        cls.company = cls.company.with_env(cls.env)
        cls.leader = cls._create_user("ka_leader", SALES_ALL)
        cls.rep = cls._create_user("ka_rep", SALES)
        cls.rep2 = cls._create_user("ka_rep2", SALES)
        cls.manager = cls._create_user("ka_manager", SALES_ADMIN)
        cls.team = cls.env["crm.team"].create(
            {
                "name": "Key Account Team",
                "company_id": cls.company.id,
                "user_id": cls.leader.id,
                "member_ids": [Command.set((cls.rep | cls.rep2).ids)],
            }
        )
        cls.product = cls.env["product.product"].create(
            {
                "name": "Service",
                "type": "service",
                "standard_price": 40.0,
                "list_price": 100.0,
                "taxes_id": [Command.clear()],
            }
        )
        cls.policy = cls._create_policy()
        cls.tier_a, cls.tier_b, cls.tier_c = cls.policy.tier_ids
        cls.Visit = cls.env["key.account.visit"]
        cls.Card = cls.env["key.account"]

    @classmethod
    def _create_company(cls, name, currency="base.EUR"):
        currency = cls.env.ref(currency)
        currency.active = True
        company = cls.env["res.company"].create(
            {"name": name, "currency_id": currency.id}
        )
        company.resource_calendar_id.tz = "UTC"
        Template = cls.env["account.chart.template"]
        plain = type(Template)._get_chart_template_mapping

        def once(self, get_all=False):
            if get_all not in chart_templates:
                chart_templates[get_all] = plain(self, get_all)
            return chart_templates[get_all]

        # What charts there are doesn't change: core collects those of all countries
        # anew each time, which takes as long as the rest of it.
        with patch.object(type(Template), "_get_chart_template_mapping", once):
            Template.try_loading("generic_coa", company=company, install_demo=False)
        company.currency_id = currency
        return company

    @classmethod
    def _create_user(cls, login, groups, company=None, **values):
        company = company or cls.company
        return new_test_user(
            cls.env,
            login=login,
            groups=groups,
            # an invitation by mail takes as long as the user
            context={"no_reset_password": True},
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
            tz="UTC",
            **values,
        ).with_env(cls.env)

    @classmethod
    def _create_policy(cls, method="pareto", bounds=(80, 95, 100), **values):
        field = METHODS[method].bound
        return cls.env["key.account.policy"].create(
            {
                "name": f"Test {method}",
                "company_id": cls.company.id,
                "method": method,
                "tier_ids": [
                    Command.create(
                        {"name": name, "code": code, "sequence": number, field: bound}
                    )
                    for number, (name, code, bound) in enumerate(
                        zip(
                            ("Key account", "Ordinary account", "Low-value account"),
                            "ABC",
                            bounds,
                            strict=True,
                        )
                    )
                ],
                **values,
            }
        )

    @classmethod
    def _create_partner(cls, name, **values):
        return cls.env["res.partner"].create(
            {"name": name, "is_company": True, "user_id": cls.rep.id, **values}
        )

    @classmethod
    def _create_invoices(cls, rows, company=None):
        """Post customer invoices.

        :param rows: tuples (partner, amount, day[, values of the move])
        """
        company = company or cls.company
        moves = (
            cls.env["account.move"]
            .with_company(company)
            .with_context(allowed_company_ids=company.ids, tracking_disable=True)
            .create(
                [
                    {
                        "move_type": "out_invoice",
                        "partner_id": partner.id,
                        "invoice_date": day,
                        "invoice_line_ids": [
                            Command.create(
                                {
                                    "name": "Sale",
                                    "price_unit": amount,
                                    "quantity": 1,
                                    "tax_ids": [Command.clear()],
                                }
                            )
                        ],
                        **(values[0] if values else {}),
                    }
                    for partner, amount, day, *values in rows
                ]
            )
        )
        moves.action_post()
        return moves

    @classmethod
    def _create_cadence(cls, tier, count, unit, track="visit", **values):
        return cls.env["key.account.cadence"].create(
            {
                "tier_id": tier.id,
                "interval_count": count,
                "interval_unit": unit,
                "track": track,
                "company_id": cls.company.id,
                **values,
            }
        )

    def _create_done(self, partner, day, **values):
        return self.Visit.create(
            {
                "partner_id": partner.id,
                "state": "done",
                "date_done": day,
                "date_planned": day,
                "company_id": self.company.id,
                **values,
            }
        )

    def _get_card(self, partner, company=None):
        company = company or self.company
        return self.Card.with_context(allowed_company_ids=company.ids).search(
            [("partner_id", "=", partner.id), ("company_id", "=", company.id)]
        )

    def _get_planned(self, partner, track="visit"):
        return self.Visit.search(
            [
                ("partner_id", "=", partner.id),
                ("company_id", "=", self.company.id),
                ("track", "=", track),
                ("state", "=", "planned"),
            ]
        )

    def _get_working_hours(self, users, company, start, end):
        """Return {user id: {date: hours of work}} of the days from ``start`` to
        ``end``."""
        agenda = self.env["key.account.agenda"]
        times = agenda._get_working_times(users, company, start, end)
        return {
            user_id: agenda._sum_hours(work.slots) for user_id, work in times.items()
        }

    @classmethod
    def _set_tier(cls, partner, tier):
        partner.with_company(cls.company).account_tier_id = tier
