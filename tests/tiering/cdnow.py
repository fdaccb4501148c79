"""The purchases of CDNOW's customers as posted invoices of a company of their own.

A real company's customers, 1997 and 1998. Posting takes minutes, so ``make test`` does
it once, in the database that its others are copies of. Nothing of crm_key_account is
used here, so that this can be done before the addon is installed.
"""

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from odoo import Command
from odoo.tools import split_every

COMPANY = "__cdnow__.company"


def read_purchases():
    """Return (customer, day, amount) of each purchase in the CDNOW sample. ``make
    test`` fetches the file."""
    path = Path(os.environ["KEY_ACCOUNT_CDNOW"])
    purchases = []
    for line in path.read_text().splitlines():
        customer, _sample, day, _units, amount = line.split()
        purchases.append(
            (customer, datetime.strptime(day, "%Y%m%d").date(), Decimal(amount))
        )
    return purchases


def post_purchases(env):
    """Post an invoice for each purchase, in a new company with the external id COMPANY.

    The company and its customers are archived in the end, so that nobody else's jobs,
    lists and figures meet them.

    :param env: an environment of the superuser
    :returns: the company
    """
    company = env["res.company"].create(
        # Dollars, which the sample is in: another currency would have to be activated
        {"name": "CDNOW", "currency_id": env.ref("base.USD").id}
    )
    company.resource_calendar_id.tz = "UTC"
    env["account.chart.template"].try_loading(
        "generic_coa", company=company, install_demo=False
    )
    env = env(context={"allowed_company_ids": company.ids, "tracking_disable": True})
    purchases = read_purchases()
    customers = sorted({customer for customer, _day, _amount in purchases})
    partners = env["res.partner"].create(
        [
            {"name": f"CDNOW {customer}", "ref": customer, "company_id": company.id}
            for customer in customers
        ]
    )
    ids = dict(zip(customers, partners.ids, strict=True))
    rows = [
        {
            # Numbered, as imported invoices are: a number of Odoo's own costs as much
            # as the invoice.
            "name": f"CDNOW/{number:05}",
            "move_type": "out_invoice",
            "partner_id": ids[customer],
            "invoice_date": day,
            "invoice_line_ids": [
                Command.create(
                    {
                        "name": "Sale",
                        "price_unit": float(amount),
                        "quantity": 1,
                        "tax_ids": [Command.clear()],
                    }
                )
            ],
        }
        for number, (customer, day, amount) in enumerate(purchases)
    ]
    for batch in split_every(1000, rows):
        env["account.move"].create(batch).action_post()
        env.flush_all()
        env.invalidate_all()
    (env.user | env.ref("base.user_root")).company_ids -= company
    partners.active = False
    company.active = False
    module, name = COMPANY.split(".")
    env["ir.model.data"].create(
        {
            "module": module,
            "name": name,
            "model": company._name,
            "res_id": company.id,
            # An update of any addon leaves it alone
            "noupdate": True,
        }
    )
    return company
