import io
from datetime import date, datetime

import xlsxwriter

from odoo import http
from odoo.http import content_disposition, request

# Excel's limits
LONGEST_CELL, LONGEST_TITLE = 32767, 31
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class KeyAccountPrivacyController(http.Controller):
    @http.route(
        "/key_account/contact/<int:contact_id>/data",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def export_contact(self, contact_id):
        """Send what is held about a contact as a spreadsheet, a sheet for each kind.

        Nothing of it is kept. The user's rights decide what is in it, see
        ``key.account.privacy``.
        """
        contact = request.env["res.partner"].browse(contact_id).exists()
        if not contact:
            raise request.not_found()
        sheets = request.env["key.account.privacy"]._get_sheets(contact)
        name = request.env._("What is held about %s", contact.name or contact_id)
        headers = [
            ("Content-Type", XLSX),
            ("Content-Disposition", content_disposition(f"{name}.xlsx")),
            ("Cache-Control", "no-store"),
        ]
        return request.make_response(_make_workbook(sheets), headers)


def _make_workbook(sheets):
    """Return the bytes of a workbook.

    :param sheets: a list of (title, names of columns, rows of values)
    """
    output = io.BytesIO()
    workbook = xlsxwriter.Workbook(output, {"in_memory": True})
    bold = workbook.add_format({"bold": True})
    wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
    day = workbook.add_format({"num_format": "yyyy-mm-dd", "valign": "top"})
    moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm", "valign": "top"})
    taken = set()
    for title, labels, rows in sheets:
        sheet = workbook.add_worksheet(_get_sheet_title(title, taken))
        sheet.set_column(0, max(len(labels) - 1, 0), 24)
        sheet.freeze_panes(1, 0)
        for column, label in enumerate(labels):
            sheet.write_string(0, column, label, bold)
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if isinstance(value, datetime):
                    sheet.write_datetime(number, column, value, moment)
                elif isinstance(value, date):
                    sheet.write_datetime(number, column, value, day)
                elif isinstance(value, int | float) and not isinstance(value, bool):
                    sheet.write_number(number, column, value, wrapped)
                else:
                    # never a formula, whatever somebody typed
                    text = str(value or "")[:LONGEST_CELL]
                    sheet.write_string(number, column, text, wrapped)
    workbook.close()
    return output.getvalue()


def _get_sheet_title(title, taken):
    """Return a title as Excel takes it: short, without its own characters, and no
    second time."""
    plain = "".join(" " if char in "[]:*?/\\" else char for char in title).strip("' ")
    for number in range(1, 100):
        suffix = f" {number}" if number > 1 else ""
        name = plain[: LONGEST_TITLE - len(suffix)] + suffix
        if name.lower() not in taken:
            break
    taken.add(name.lower())
    return name
