from psycopg2.extras import Json

MODULE = "crm_key_account"
# Items, as they say it now, and as they came, in the languages that came: reports have
# a next objective, no theme.
CHANGED = (
    (
        "checklist_item_on_site_close",
        "Win a commitment: who does what by when. Sum up, and fix the next date and "
        "objective",
        {
            "Win a commitment: who does what by when. Sum up, and fix the next date "
            "and theme",
            "Eine Zusage erreichen: wer macht was bis wann. Zusammenfassen und "
            "nächsten Termin und Thema festlegen",
            "Consiga un compromiso: quién hace qué y para cuándo. Resuma, y fije la "
            "próxima fecha y el tema",
            "Obtenez un engagement : qui fait quoi et pour quand. Résumez, et fixez la "
            "prochaine date et le thème",
            "取得承诺：谁在何时之前做什么。总结并确定下次日期和主题",
            "取得承諾：誰在何時之前做什麼。總結，並確定下次日期與主題",
        },
    ),
    (
        "checklist_item_online_close",
        "Sum up on the screen: commitments, next date and objective",
        {
            "Sum up on the screen: commitments, next date and theme",
            "Am Bildschirm zusammenfassen: Zusagen, nächster Termin und Thema",
            "Resuma en la pantalla: compromisos, próxima fecha y tema",
            "Résumez à l'écran : engagements, prochaine date et thème",
            "在屏幕上总结：承诺、下次日期和主题",
            "在螢幕上總結：承諾、下次日期與主題",
        },
    ),
)


def migrate(cr, version):
    """Word two items of the checklist anew: what an administrator has worded stays.
    The update brings the translations next, of languages that have no text."""
    for name, text, before in CHANGED:
        cr.execute(
            """
            SELECT item.id, item.name
              FROM key_account_checklist_item item
              JOIN ir_model_data data
                ON data.res_id = item.id
               AND data.model = 'key.account.checklist.item'
               AND data.module = %s
               AND data.name = %s
            """,
            [MODULE, name],
        )
        for id_, texts in cr.fetchall():
            if texts.get("en_US") not in before:
                continue
            kept = {lang: said for lang, said in texts.items() if said not in before}
            cr.execute(
                "UPDATE key_account_checklist_item SET name = %s WHERE id = %s",
                [Json({**kept, "en_US": text}), id_],
            )
