from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestGroup(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.top = cls._create_partner("Holding", user_id=False)
        cls.middle = cls._create_partner("Division", parent_id=cls.top.id)
        cls.low = cls._create_partner("Plant", parent_id=cls.middle.id)
        cls.alone = cls._create_partner("Kestrel")
        cls.other = cls._create_partner("Heron", user_id=cls.rep2.id)
        cls.accounts = cls.middle | cls.low | cls.alone | cls.other
        cls.Card._ensure((cls.accounts | cls.top).ids, cls.company)

    def _get_group(self, partner):
        self.env.invalidate_all()
        return self._get_card(partner).group_id

    def test_by_the_parents(self):
        for partner in (self.top, self.middle, self.low):
            self.assertEqual(self._get_group(partner), self.top)
        self.assertEqual(self._get_group(self.alone), self.alone)
        self.alone.parent_id = self.low
        self.assertEqual(self._get_group(self.alone), self.top)

    def test_by_hand(self):
        alone = self.alone.with_user(self.rep)
        alone.key_account_group_id = self.top
        self.assertEqual(self._get_group(self.alone), self.top)
        # although it has a parent company
        self.low.key_account_group_id = self.low
        self.assertEqual(self._get_group(self.low), self.low)
        self.low.key_account_group_id = False
        self.assertEqual(self._get_group(self.low), self.top)
        # each company for itself
        other = self._create_company("Other")
        self.Card._ensure(self.alone.ids, other)
        self.assertEqual(self._get_card(self.alone, other).group_id, self.alone)

    def test_chosen_group_gets_a_parent(self):
        self.alone.key_account_group_id = self.other
        self.assertEqual(self._get_group(self.alone), self.other)
        self.other.parent_id = self.top
        self.assertEqual(self._get_group(self.other), self.top)
        self.assertEqual(self._get_group(self.alone), self.top)

    def test_search_and_group(self):
        self.alone.key_account_group_id = self.top
        self.env.flush_all()
        cards = self.Card.search([("group_id", "=", self.top.id)])
        self.assertEqual(
            cards.partner_id, self.top | self.middle | self.low | self.alone
        )
        self.assertEqual(cards, self.Card.search([("group_id", "ilike", "holding")]))
        rest = self.Card.search(
            [
                ("group_id", "not in", self.top.ids),
                ("company_id", "=", self.company.id),
            ]
        )
        self.assertEqual(rest.partner_id, self.other)
        groups = self.Card._read_group(
            [("company_id", "=", self.company.id)], ["group_id"], ["__count"]
        )
        self.assertEqual(dict(groups), {self.top: 4, self.other: 1})
        by_group = self.Card.search(
            [("company_id", "=", self.company.id)], order="group_id, id"
        )
        self.assertEqual(
            list(by_group),
            list(by_group.sorted(lambda c: (c.group_id.complete_name, c.id))),
        )

    def test_what_is_no_group(self):
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.other.id}
        )
        for group, sentence in (
            (contact, "belongs to Heron: choose"),
            (self.middle, "belongs to Holding: choose"),
        ):
            with self.assertRaisesRegex(ValidationError, sentence):
                self.alone.with_user(self.rep).key_account_group_id = group
        self.other.key_account_group_id = self.top
        with self.assertRaisesRegex(ValidationError, "belongs to Holding: choose"):
            self.alone.key_account_group_id = self.other
        self.assertEqual(self._get_group(self.alone), self.alone)
        with self.assertRaisesRegex(ValidationError, "group of other accounts"):
            self.top.key_account_group_id = self.alone
        with self.assertRaisesRegex(UserError, "no id"):
            self.alone.with_user(self.rep).write({"key_account_group_id": "top"})

    def test_whose(self):
        """A salesperson decides about own accounts, and names what may be read."""
        with self.assertRaisesRegex(AccessError, "your own accounts only"):
            self.other.with_user(self.rep).key_account_group_id = self.top
        with self.assertRaisesRegex(AccessError, "your own accounts only"):
            self.other.with_user(self.rep).key_account_wallet = 5
        self.other.with_user(self.leader).key_account_group_id = self.top
        foreign = self._create_company("Foreign")
        hidden = self._create_partner("Hidden", company_id=foreign.id)
        with self.assertRaises(AccessError):
            self.alone.with_user(self.rep).write({"key_account_group_id": hidden.id})

    def test_form(self):
        # what a salesperson sees without being an administrator
        with Form(self.alone.with_user(self.rep)) as form:
            form.key_account_group_id = self.top
            form.key_account_wallet = 1200
        card = self._get_card(self.alone)
        self.assertEqual(card.chosen_group_id, self.top)
        self.assertEqual(card.wallet, 1200)

    def test_wallet_is_of_own_accounts_alone(self):
        self.other.key_account_wallet = 700
        self.alone.key_account_wallet = 1000
        self.env.flush_all()
        theirs = self.env["res.partner"].with_user(self.rep)
        self.assertEqual(theirs.browse(self.other.id).key_account_wallet, 0)
        self.assertEqual(theirs.browse(self.alone.id).key_account_wallet, 1000)
        among = [("id", "in", self.accounts.ids)]
        found = theirs.search([("key_account_wallet", ">", 0), *among])
        self.assertEqual(found, self.alone)
        ordered = theirs.search(among, order="key_account_wallet, id desc")
        self.assertEqual(
            ordered,
            self.env["res.partner"].concat(
                self.alone, *(self.accounts - self.alone).sorted(reverse=True)
            ),
        )
        found = theirs.with_user(self.leader).search(
            [("key_account_wallet", ">", 0), *among]
        )
        self.assertEqual(found, self.alone | self.other)

    def test_merge(self):
        """The customer that stays says what counts, the others where it is silent."""
        twin = self._create_partner("Kestrel again")
        twin.write({"key_account_group_id": self.top.id, "key_account_wallet": 300})
        self.alone.key_account_wallet = 500
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (twin | self.alone).ids, self.alone
        )
        self.assertEqual(self._get_group(self.alone), self.top)
        self.assertEqual(self._get_card(self.alone).wallet, 500)

    def test_group_that_goes(self):
        self.alone.key_account_group_id = self.top
        (self.middle | self.low).parent_id = False
        self.env.flush_all()
        self.top.unlink()
        self.assertEqual(self._get_group(self.alone), self.alone)

    def test_becomes_a_contact(self):
        self._create_invoices([(self.alone, 100, TODAY)])
        self.alone.write(
            {"key_account_group_id": self.other.id, "key_account_wallet": 5}
        )
        self.alone.write({"parent_id": self.other.id, "is_company": False})
        card = self._get_card(self.alone)
        self.assertFalse(card.chosen_group_id)
        self.assertFalse(card.wallet)
