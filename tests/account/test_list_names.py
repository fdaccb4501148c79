from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import SQL

from ..common import KeyAccountCommon

MODELS = ("key.account.buying.role", "key.account.churn.reason")


@tagged("post_install", "-at_install")
class TestListNames(KeyAccountCommon):
    """Roles and reasons are in their lists once, at every door."""

    def test_duplicates_are_refused(self):
        for model in MODELS:
            with self.subTest(model=model):
                records = self.env[model].with_user(self.manager)
                first, second = records.create(
                    [{"name": "Gate keeper"}, {"name": "Second"}]
                )
                for door in (
                    lambda records=records: records.create({"name": "Gate keeper"}),
                    lambda records=records: records.create({"name": " gate  KEEPER "}),
                    lambda records=records: records.create(
                        [{"name": "New"}, {"name": "new"}]
                    ),
                    lambda second=second: second.write({"name": "gate keeper"}),
                    lambda records=records: records.name_create("GATE KEEPER"),
                ):
                    with (
                        self.assertRaisesRegex(ValidationError, "in the list already"),
                        self.env.cr.savepoint(),
                    ):
                        door()
                loaded = records.load(["name"], [["Gate keeper"]])
                self.assertFalse(loaded["ids"])
                self.assertIn("in the list already", loaded["messages"][0]["message"])
                self.assertEqual(first.copy().name, "Gate keeper (copy)")
                first.active = False
                with self.assertRaisesRegex(ValidationError, "archived: restore it"):
                    records.create({"name": "Gate Keeper"})

    def test_in_another_language(self):
        """Whoever works in German meets the names in English as well."""
        self.env["res.lang"]._activate_lang("de_DE")
        for model in MODELS:
            with self.subTest(model=model):
                first, second = self.env[model].create(
                    [{"name": "Gate keeper"}, {"name": "Second"}]
                )
                german = self.env[model].with_context(lang="de_DE")
                first.with_env(german.env).name = "Türsteher"
                for door in (
                    lambda german=german: german.create({"name": "gate keeper"}),
                    lambda german=german: german.create({"name": "türsteher"}),
                    lambda second=second: second.update_field_translations(
                        "name", {"de_DE": "Türsteher"}
                    ),
                ):
                    with (
                        self.assertRaisesRegex(ValidationError, "(?i)already|bereits"),
                        self.env.cr.savepoint(),
                    ):
                        door()
                copy = first.copy()
                self.assertEqual(copy.name, "Gate keeper (copy)")
                self.assertNotEqual(copy.with_env(german.env).name, "Türsteher")
                # a word that means something else in another language
                second.with_env(german.env).name = "Gate keeper"
                self.assertEqual(second.name, "Second")

    def test_what_is_there_twice_stays(self):
        """Data of before is neither refused nor lost."""
        for model in MODELS:
            with self.subTest(model=model):
                first, second = self.env[model].create([{"name": "A"}, {"name": "B"}])
                self.env.flush_all()
                self.cr.execute(
                    SQL(
                        "UPDATE %s SET name = %s WHERE id = %s",
                        SQL.identifier(second._table),
                        '{"en_US": "A"}',
                        second.id,
                    )
                )
                self.env.invalidate_all()
                second.sequence = 77
                second.active = False
                second.active = True
                second.name = "Another"
                self.assertEqual(first.name, "A")
