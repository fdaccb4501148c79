"""`make uninstall`: the addon beside many others, and what is left when it goes.

Beside those that extend the same models, no two fields of one label; after
uninstalling, nothing of the addon in the database, and no error in the log. Not a part
of `make test`: installing the others alone takes some minutes.
"""

import json

from . import base, databases
from .base import ADDON, Failure, say, step
from .postgres import sql
from .testing import complaints, records

OTHERS = "key_account_others"
WITH = "key_account_uninstall"
# What companies have beside it, and what extends the models that it extends
MODULES = (
    "base_automation,base_geolocalize,calendar_sms,crm_iap_enrich,crm_iap_mine,"
    "crm_livechat,crm_sms,delivery,event_crm_sale,event_sale,fleet,gamification,"
    "gamification_sale_crm,google_calendar,hr_calendar,hr_expense,hr_fleet,"
    "hr_gamification,hr_holidays,hr_homeworking_calendar,hr_hourly_cost,"
    "hr_maintenance,hr_recruitment,hr_skills,hr_work_entry_holidays,im_livechat,"
    "loyalty,mass_mailing_crm,mass_mailing_sale,microsoft_calendar,mrp_repair,"
    "partner_autocomplete,partnership,payment_demo,point_of_sale,privacy_lookup,"
    "product_margin,project_todo,purchase_stock,sale_loyalty,sale_project,"
    "sale_stock_margin,sale_timesheet,sms,snailmail,survey_crm,website_crm,"
    "website_crm_partner_assign,website_crm_sms,website_event_crm,website_sale"
)
# What each of these says of the database is the same before and afterwards.
SNAPSHOT = {
    "tables": "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = 'public'",
    "columns": "SELECT table_name || '.' || column_name"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    "sequences": "SELECT relname FROM pg_class WHERE relkind = 'S'",
    "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": "SELECT conrelid::regclass || ': ' || conname FROM pg_constraint"
    " WHERE conrelid != 0",
    "functions": "SELECT proname FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace",
    "models": "SELECT model FROM ir_model",
    "fields": "SELECT model || '.' || name FROM ir_model_fields",
    "constraint rows": "SELECT name FROM ir_model_constraint",
    "relation rows": "SELECT name FROM ir_model_relation",
    # Core leaves those of other modules' fields and parents of a model, and customers
    # of the demo data that something else refers to by then.
    "external ids": "SELECT module || '.' || name FROM ir_model_data"
    " WHERE model != 'res.partner'"
    " AND (module = 'crm_key_account'"
    "      OR name !~ '^(selection|model_inherit)__key_account')",
    "activity types": "SELECT name->>'en_US' FROM mail_activity_type",
    "favourites": "SELECT name || ' of ' || model_id FROM ir_filters",
    "defaults": "SELECT field_id::text FROM ir_default",
    "menus": "SELECT name->>'en_US' FROM ir_ui_menu",
    "actions": "SELECT type || ' ' || (name->>'en_US') FROM ir_actions",
    "views": "SELECT name || ' of ' || COALESCE(model, '') FROM ir_ui_view",
    "jobs": "SELECT cron_name FROM ir_cron",
    "groups": "SELECT name->>'en_US' FROM res_groups",
    "rules": "SELECT name FROM ir_rule",
    "rights": "SELECT name FROM ir_model_access",
    "templates": "SELECT name->>'en_US' FROM mail_template",
    "subtypes": "SELECT name->>'en_US' FROM mail_message_subtype",
    "parameters": "SELECT key FROM ir_config_parameter",
    "assets": "SELECT name FROM ir_asset",
    "reports": "SELECT report_name FROM ir_act_report_xml",
    "tours": "SELECT name FROM web_tour_tour",
    "industries": "SELECT name->>'en_US' FROM res_partner_industry",
    "activities": "SELECT COALESCE(res_model, '') || ' ' || COALESCE(summary, '')"
    " FROM mail_activity WHERE active",
    "documents": "SELECT DISTINCT kind FROM ("
    " SELECT 'message of ' || model FROM mail_message"
    " UNION ALL SELECT 'follower of ' || res_model FROM mail_followers"
    " UNION ALL SELECT 'attachment of ' || res_model FROM ir_attachment"
    " UNION ALL SELECT 'activity of ' || res_model FROM mail_activity"
    ") AS documents (kind) WHERE kind LIKE '% key.account%'",
}
# What goes on in core meanwhile
NOISE = ("ir_attachment", "mail_message", "pg_toast")
USE = """
import json
from odoo import fields
from odoo.fields import Domain

# as the administrator: whatever is left by people is left by somebody
env = env(user=env.ref("base.user_admin"))
env["key.account.night"].sudo()._cron_night()
policy = env.ref("crm_key_account.policy_default")
policy.action_preview()
today = fields.Date.context_today(env.user)
visits = env["key.account.visit"].search(
    [("state", "=", "planned"), ("partner_id", "!=", False), ("user_id", "!=", False)],
    limit=3,
)
for visit in visits:
    visit.with_user(visit.user_id).action_schedule_meeting()
visits[0].action_done()
env["key.account.effort.suggestion"].action_reckon()
suggestions = env["key.account.effort.suggestion"].search([("state", "=", "suggested")])
suggestions[:1].action_accept()
env["key.account.plan"].search([], limit=1).copy()
env["ir.filters"].create(
    [
        {"name": f"Own {model}", "model_id": model, "user_ids": env.user.ids}
        for model in ("key.account", "key.account.visit", "key.account.plan")
    ]
)
env["ir.filters"].create(
    {
        "name": "Key accounts",
        "model_id": "res.partner",
        "user_ids": env.user.ids,
        "domain": "[('account_tier_id', '!=', False)]",
    }
)
env["ir.default"].set("key.account.visit", "mode", "phone")
env.cr.commit()

labels = []
for name, model in env.items():
    seen = {}
    for field in model._fields.values():
        seen.setdefault(field.string, []).append(field)
    for label, fields_ in seen.items():
        ours = [f for f in fields_ if "crm_key_account" in f._modules]
        if ours and len(fields_) > 1:
            labels.append(f"{name}: {label}: " + ", ".join(f.name for f in fields_))
print("LABELS " + json.dumps(labels))
"""
UNINSTALL = """
env.ref("base.module_crm_key_account").button_immediate_uninstall()
print("UNINSTALLED")
"""


def run(found):
    """Give 1 if two fields have one label, or something is left."""
    with base.locked("databases", "Waiting for another command that makes databases"):
        _make_others(found)
        step(f"Installing {ADDON} with its demo data beside them")
        databases.copy(OTHERS, WITH)
        before = _look(WITH)
        log = databases.run_odoo(
            found, WITH, ["-i", ADDON, "--with-demo"], f"installing {ADDON}", WITH
        )
    problems = _read_log(log)
    step("Using it")
    log = databases.run_odoo(found, WITH, [], "using it", f"{WITH}_use", USE)
    labels = [
        line.partition("LABELS ")[2]
        for line in log.read_text(errors="replace").splitlines()
        if "LABELS " in line
    ]
    if not labels:
        raise Failure(base.explain("using it", log))
    problems += [f"two fields of one label: {text}" for text in json.loads(labels[-1])]
    step("Uninstalling it")
    log = databases.run_odoo(
        found, WITH, [], f"uninstalling {ADDON}", f"{WITH}_log", UNINSTALL
    )
    if "UNINSTALLED" not in log.read_text(errors="replace"):
        raise Failure(base.explain(f"uninstalling {ADDON}", log))
    problems += _read_log(log)
    problems += [
        f"left in {kind}: {text}"
        for kind, texts in _look(WITH).items()
        for text in sorted(texts - before[kind])
        if not text.startswith(NOISE)
    ]
    for text in problems:
        say(f"    {text}")
    if problems:
        say(f"==> make uninstall FAILED: {len(problems)} problems, listed above")
        return 1
    databases.drop(WITH)
    say("==> make uninstall passed: no label twice, nothing left, no error")
    return 0


def _make_others(found):
    stamp = f"{databases.make_base(found)} {base.stamp_of(MODULES)}"
    if databases.stamp_of(OTHERS) == stamp:
        return
    step("Installing other addons (some minutes)")
    new = f"{OTHERS}_new"
    databases.copy(databases.BASE, new)
    databases.run_odoo(found, new, ["-i", MODULES], "installing other addons", OTHERS)
    databases.finish(OTHERS, stamp)


def _look(database):
    return {
        kind: set(sql(statement, database).splitlines())
        for kind, statement in SNAPSHOT.items()
    }


def _read_log(path):
    """Errors of whoever it is, and warnings about the addon."""
    errors = [
        f"{level} {logger}: {text.splitlines()[0]}"
        for level, logger, text in records(path)
        if level in ("ERROR", "CRITICAL")
    ]
    return errors + [text for text in complaints(path) if text not in errors]
