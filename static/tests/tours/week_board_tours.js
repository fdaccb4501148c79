import {registry} from "@web/core/registry";

const nextWeek = [
    {
        content: "Next week",
        trigger: ".o_week_board .o_week_board_next",
        run: "click",
    },
];

// The cell of a weekday, Monday first, and what drops a card there
const onDay = (day) => `tr:has(.o_week_board_card) td:eq(${day})`;
const cardOn = (day) => `${onDay(day)} .o_week_board_card:contains('Tour Customer')`;
const dropOn = (day) => `drag_and_drop(${onDay(day)} .o_week_board_group)`;

registry.category("web_tour.tours").add("key_account_week_board", {
    steps: () => [
        ...nextWeek,
        {
            content: "Drag the visit from Monday to Tuesday",
            trigger: cardOn(0),
            run: dropOn(1),
        },
        {
            content: "It is there, as moved by hand",
            trigger:
                "td:has(.o_week_board_card:contains('Tour Customer'):has(.fa-thumb-tack)) .o_week_board_load:contains('1 / 6')",
        },
        {
            content: "Drag the backlog onto Monday",
            trigger: ".o_week_board_side .o_week_board_card:contains('Tour Backlog')",
            run: dropOn(0),
        },
        {
            content: "It is planned",
            trigger:
                "td .o_week_board_card[data-kind=visit]:contains('Tour Backlog'):has(.fa-thumb-tack)",
        },
        {
            content: "Nothing is left in the backlog",
            trigger: ".o_week_board_side:contains('Every visit that is due has a day')",
        },
        {
            content: "Drag the first one further, by mistake",
            trigger: cardOn(1),
            run: dropOn(2),
        },
        {
            trigger: cardOn(2),
        },
        {
            content: "And undo it",
            trigger:
                ".o_notification:contains('Tour Customer: Wed') .o_notification_buttons button",
            run: "click",
        },
        {
            trigger: cardOn(1),
        },
    ],
});

registry.category("web_tour.tours").add("key_account_week_board_phone", {
    steps: () => [
        ...nextWeek,
        {
            content: "The rep's own visits alone",
            trigger:
                ".o_week_board_list:contains('Tour Customer'):not(:contains('Colleague Customer'))",
        },
        {
            content: "Unfold the backlog",
            trigger: ".o_week_board_fold:contains('Backlog (1)')",
            run: "click",
        },
        {
            trigger: ".o_week_board_card[data-kind=backlog]:contains('Tour Backlog')",
        },
        {
            content: "Open the visit",
            trigger: ".o_week_board_day .o_week_board_card:contains('Tour Customer')",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=date_planned]",
        },
        {
            content: "Back to the same week",
            trigger: ".o_back_button",
            run: "click",
        },
        {
            trigger: ".o_week_board_day .o_week_board_card:contains('Tour Customer')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_week_board_team", {
    steps: () => [
        ...nextWeek,
        {
            content: "The own week, without the rep's visit",
            trigger: ".o_week_board_list:not(:contains('Tour Customer'))",
        },
        {
            content: "The team",
            trigger: ".o_week_board_show_team",
            run: "click",
        },
        {
            content: "The rep's total",
            trigger: ".o_week_board_row:contains('ka_rep'):contains('1 / 30')",
            run: "click",
        },
        {
            content: "The rep's week",
            trigger: ".o_week_board_day .o_week_board_card:contains('Tour Customer')",
        },
        {
            content: "Back to the team",
            trigger: ".o_week_board_back",
            run: "click",
        },
        {
            trigger: ".o_week_board_row:contains('ka_rep2')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_escalation", {
    steps: () => [
        {
            content: "The leader is told, with what happened before",
            trigger:
                ".o-mail-Activity:contains('days late'):contains('Due since'):contains('Done')",
        },
        {
            trigger: ".o-mail-Activity:contains('days late') .o-mail-Activity-markDone",
            run: "click",
        },
        {
            content: "It is no visit: there is nothing to report",
            trigger: ".o-mail-ActivityMarkAsDone:not(:contains('Report'))",
        },
        {
            trigger: ".o-mail-ActivityMarkAsDone button[aria-label='Done']",
            run: "click",
        },
        {
            trigger: "body:not(:has(.o-mail-Activity:contains('days late')))",
        },
    ],
});
