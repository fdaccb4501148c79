# A thin front of dev/env.py: all that it makes lies in KEY_ACCOUNT_HOME, by default
# ~/.cache/crm_key_account, never in the checkout.
PYTHON ?= python3
ENV = @$(PYTHON) -B dev/env.py

export PORT DB K T SIZE ARGS KEY_ACCOUNT_HOME ODOO_HOME

# An empty value means the default, as an unset one does
ifeq ($(strip $(KEY_ACCOUNT_HOME)),)
unexport KEY_ACCOUNT_HOME
endif
ifeq ($(strip $(ODOO_HOME)),)
unexport ODOO_HOME
endif

.DEFAULT_GOAL := help
.PHONY: help run test core-tests companions shell walk i18n lint format bench chaos chaos-queue fuzz uninstall page pictures dist lock setup clean load bench-peers

help:
	@echo 'make run            Odoo 19 with the addon and its demo data (PORT=8069)'
	@echo 'make test           all tests, by pytest and Odoo at once'
	@echo '                    a part by pytest: T=tests/visit/test_visits.py or K=expression'
	@echo "make core-tests     core's own tests, with the addon against without (T=crm ...)"
	@echo 'make companions     the addons beside ours, installed and tested'
	@echo 'make shell          Odoo shell; DB=key_account_demo, a script from stdin'
	@echo 'make walk           which files of the addon a click goes through, on demo data'
	@echo 'make i18n           the template of translations anew, translations merged with it'
	@echo 'make lint           ruff, pylint-odoo, the checks of OCA, prettier'
	@echo 'make format         let ruff and prettier rewrite the files'
	@echo 'make bench          the benchmark; SIZE=10k, 100k, 1m, several, all (ARGS=...)'
	@echo 'make load           twenty salespeople at work, without and with the night (SIZE=)'
	@echo 'make bench-peers    planned visits beside what others plan them with'
	@echo 'make chaos          nights and users while servers are killed; ARGS=100 kills'
	@echo 'make chaos-queue    the same of the queue in companions/'
	@echo "make fuzz           random sequences of what people do (ARGS='seed=1 minutes=60')"
	@echo 'make uninstall      beside many other addons: labels that clash, what is left'
	@echo 'make page           the page of the Apps store, from the README'
	@echo 'make pictures       the pictures of README, guides and store, on a demo of their own'
	@echo 'make dist           the wheels: odoo-addon-crm_key_account and the companions'
	@echo 'make lock           choose new versions of the Python packages'
	@echo 'make clean          stop what runs, remove what the others made'
	@echo
	@echo 'KEY_ACCOUNT_HOME=folder   where everything is made (~/.cache/crm_key_account)'
	@echo 'ODOO_HOME=folder          an Odoo 19 of yours: a checkout, a prefix or a venv'
	@echo 'PGHOST=host               a PostgreSQL of yours (PGPORT, PGUSER, PGPASSWORD)'
	@echo 'PYTHON=python3.12         the Python to use, 3.10 to 3.13'

setup run test core-tests companions shell walk i18n lint format bench chaos chaos-queue fuzz uninstall page pictures dist lock clean load bench-peers:
	$(ENV) $@
