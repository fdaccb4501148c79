MODULE = "crm_key_account"
# As visits had their days in the digest, and as the reasons beside have theirs.
BEFORE = (
    "format_date(visit.date_due or visit.date_planned)",
    "format_date(visit.date_planned)",
)
AFTER = "(ctx.get('days') or {}).get(visit.id)"


def migrate(cr, version):
    """Write days in the digest in one way, in every language; what an administrator has
    worded stays. The data file doesn't touch the template any more."""
    cr.execute(
        """
        UPDATE mail_template template
           SET body_html = REPLACE(
                   REPLACE(body_html::text, %s, %s), %s, %s)::jsonb
          FROM ir_model_data data
         WHERE data.module = %s
           AND data.name = 'mail_template_visit_digest'
           AND data.model = 'mail.template'
           AND template.id = data.res_id
           AND body_html::text LIKE '%%format_date(visit.date%%'
        """,
        [
            *(text for before in BEFORE for text in (before, AFTER)),
            MODULE,
        ],
    )
