"""Values shared by the models."""

# The relationship ladder, lowest step first.
RELATIONSHIP_LEVELS = [
    ("transactional", "Transactional"),
    ("preferred_supplier", "Preferred supplier"),
    ("partner", "Partner"),
    ("strategic_alliance", "Strategic alliance"),
]
LEVEL_NUMBERS = {
    level: number for number, (level, _) in enumerate(RELATIONSHIP_LEVELS, start=1)
}
# Where every account begins
LOWEST_LEVEL = RELATIONSHIP_LEVELS[0][0]
# Salespeople move their accounts up to here; what lies above is proposed.
HIGHEST_FREE_LEVEL = LEVEL_NUMBERS["preferred_supplier"]

# What is going on with a customer, the best reason to spend time on it first.
ENGAGEMENT_STAGES = [
    ("quotation", "Quotation"),
    ("contract", "Contract"),
    ("opportunity", "Opportunity"),
    ("lead", "Lead"),
    ("target", "Target"),
]
STAGE_NUMBERS = {
    stage: number for number, (stage, _) in enumerate(ENGAGEMENT_STAGES, start=1)
}
# Without a tier or a stage: after all others.
NO_RANK = 1000
# How somebody is met without going there
CALL_MODES = ("phone", "mail")
# Least experienced first.
SENIORITIES = [
    ("trainee", "Trainee"),
    ("regular", "Regular"),
    ("senior", "Senior"),
]
SENIORITY_NUMBERS = {
    seniority: number for number, (seniority, _) in enumerate(SENIORITIES, start=1)
}

DECISION_LEVELS = [("top", "Top"), ("middle", "Middle"), ("working", "Working")]
STANCES = [
    ("champion", "Champion"),
    ("supporter", "Supporter"),
    ("neutral", "Neutral"),
    ("opponent", "Opponent"),
]

# Records that are created or closed at once: core's handling of activities takes more
# than proportionally longer for more.
BATCH_SIZE = 500
# What a night's transaction makes or closes: people who report a visit to one of these
# wait for its end.
NIGHT_BATCH = 50
# A table that so many rows were written to at once needs new statistics: PostgreSQL
# would take it for as small as it was.
ANALYZED_ROWS = 1000

# From here on it is no amount of money, as what is no number at all, which PostgreSQL
# takes for the largest: one account's would be the share of all.
NO_AMOUNT = 10**18
# How many records a line of the log names
LOGGED_IDS = 50

# After somebody said no to a lower level, lapsed evidence doesn't ask again so soon.
QUIET_DAYS = 90
