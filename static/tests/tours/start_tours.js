import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const step = (name) => `.o_key_account_start [data-step=${name}]`;

// Each "click" is one of the user's: twelve at most.
tours.add("key_account_first_hour", {
    steps: () => [
        {
            content: "1. The apps",
            trigger: ".o_navbar_apps_menu button",
            run: "click",
        },
        {
            content: "2. CRM",
            trigger: ".o-dropdown--menu [data-menu-xmlid='crm.crm_menu_root']",
            run: "click",
        },
        {
            content: "3. The accounts",
            trigger:
                ".o_menu_sections [data-menu-xmlid='crm_key_account.key_account_menu']",
            run: "click",
        },
        {
            content: "No ghosts, and what comes next stands out",
            trigger: `.o_action:not(:has(.o_view_sample_data)) ${step("tiers")}[data-done='0'] .btn-primary`,
        },
        {
            content: "The cadence that came with us is there",
            trigger: `${step("cadence")}[data-done='1']:contains('Key account: weekly')`,
        },
        {
            content: "4. How to tier",
            trigger: `${step("tiers")} button`,
            run: "click",
        },
        {
            content: "5. A preset",
            trigger: ".o_field_widget[name=method] input[data-value=pyramid]",
            run: "click",
        },
        {
            trigger:
                "[name=tier_ids] .o_data_row:contains('Key account') [name=share]:contains('5')",
        },
        {
            content: "6. Look first",
            trigger: ".o_form_view button[name=action_preview]",
            run: "click",
        },
        {
            trigger: ".modal [name=line_ids] .o_data_row:contains('Fresh Customer 0')",
        },
        {
            content: "7. Take it",
            trigger: ".modal button[name=action_run]:contains('Save and Run')",
            run: "click",
        },
        {
            content: "One's own pyramid",
            trigger:
                ".o_list_view .o_data_row:contains('Fresh Customer 0') [name=tier_id]:contains('Key account')",
        },
        {
            trigger: `${step("tiers")}[data-done='1']:contains('Pyramid, Revenue')`,
        },
        {
            content: "8. Nobody is senior enough for key accounts so far",
            trigger: `${step("salespeople")}[data-done='0']:contains('Key account') button`,
            run: "click",
        },
        {
            content: "9. The seniority",
            trigger: ".o_data_row:contains('Fresh Admin') td[name=seniority]",
            run: "click",
        },
        {
            content: "10. Senior",
            trigger: ".o_data_row .o_selection_badge:contains('Senior')",
            run: "click",
        },
        {
            content: "11. Back",
            trigger: ".breadcrumb-item a, .o_back_button",
            run: "click",
        },
        {
            trigger: `${step("salespeople")}[data-done='1']:contains('Salespeople: 1')`,
        },
        {
            content: "12. Plan",
            trigger: `${step("plan")} .btn-primary`,
            run: "click",
        },
        {
            content: "How many",
            trigger: ".o_notification:contains('Visits planned until ')",
        },
        {
            content: "The first week",
            trigger: ".o_week_board .o_week_board_card:contains('Fresh Customer')",
        },
    ],
});

tours.add("key_account_empty_tiers", {
    steps: () => [
        {
            content: "A rep is told, and has no button",
            trigger:
                ".o_view_nocontent:contains('No customer has a tier yet'):not(:has(button))",
        },
    ],
});

tours.add("key_account_empty_visits", {
    steps: () => [
        {
            content: "An administrator has the button that helps",
            trigger:
                ".o_view_nocontent:contains('No visits have been planned yet') button:contains('Plan Visits Now')",
            run: "click",
        },
        {
            trigger:
                ".o_notification:contains('Visits planned until '):contains(': 1.')",
        },
        {
            content: "Back at the visits, which are somebody else's",
            trigger: ".breadcrumb-item a, .o_back_button",
            run: "click",
        },
        {
            trigger:
                ".o_view_nocontent:contains('No visits here') button:contains('Remove Filters')",
            run: "click",
        },
        {
            content: "There they are",
            trigger: ".o_data_row:contains('Start Customer 1')",
        },
    ],
});

const searchNobody = [
    {
        trigger: ".o_searchview_input",
        run: "edit Nobody of that name",
    },
    {
        trigger: ".o_searchview_autocomplete .o-dropdown-item:contains('Customer')",
        run: "click",
    },
    {
        trigger:
            ".o_view_nocontent:contains('Nothing here matches the filters') button",
        run: "click",
    },
];

tours.add("key_account_empty_filter", {
    steps: () => [
        {
            trigger: ".o_data_row:contains('Start Customer 1')",
        },
        ...searchNobody,
        {
            content: "There it is again",
            trigger: ".o_data_row:contains('Start Customer 1')",
        },
    ],
});

tours.add("key_account_hidden_history", {
    steps: () => [
        {
            content: "The bundle of graphs may have to be made first",
            trigger: ".o_graph_renderer canvas",
            timeout: 60000,
        },
        ...searchNobody,
        {
            trigger: ".o_graph_renderer canvas",
        },
    ],
});

tours.add("key_account_first_steps", {
    steps: () => [
        {
            trigger: step("tiers"),
        },
        {
            content: "Away with it",
            trigger: ".o_key_account_start_close",
            run: "click",
        },
        {
            trigger:
                ".o_action_manager:not(:has(.o_key_account_start)) .o_view_nocontent",
        },
        {
            content: "And back",
            trigger: ".o_cp_action_menus button:has(.fa-cog)",
            run: "click",
        },
        {
            trigger: ".o_key_account_start_menu",
            run: "click",
        },
        {
            trigger: step("plan"),
        },
    ],
});

tours.add("key_account_first_steps_board", {
    steps: () => [
        {
            trigger: ".o_week_board_start",
            run: "click",
        },
        {
            trigger: step("tiers"),
        },
    ],
});

tours.add("key_account_start_now", {
    steps: () => [
        {
            trigger:
                ".o_view_nocontent:contains('No customer has a tier yet') button:contains('Start Now')",
            run: "click",
        },
        {
            content: "The accounts, with the panel that was closed",
            trigger: step("tiers"),
        },
    ],
});

tours.add("key_account_nobody_in_a_team", {
    steps: () => [
        {
            trigger: `${step("salespeople")}[data-done='0'] button`,
            run: "click",
        },
        {
            trigger:
                ".o_view_nocontent:contains('Nobody is in a sales team'):not(:contains('<p'))",
        },
    ],
});

tours.add("key_account_seniority_phone", {
    steps: () => [
        {
            trigger: `${step("salespeople")}[data-done='0']:contains('Key account') button`,
            run: "click",
        },
        {
            trigger: ".o_kanban_record:contains('Fresh Admin')",
            run: "click",
        },
        {
            trigger:
                ".o_field_widget[name=seniority] .o_selection_badge:contains('Senior')",
            run: "click",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "Back",
            trigger: ".o_form_view:has(.o_form_status_indicator_buttons.invisible)",
        },
    ],
});

tours.add("key_account_cadence_phone", {
    steps: () => [
        {
            trigger: `${step("cadence")} button`,
            run: "click",
        },
        {
            content: "How often is on the screen, to which the step leads",
            trigger: ".o_list_view .o_data_row td[name=interval_unit]",
            run() {
                const {left, right} = this.anchor.getBoundingClientRect();
                if (left < 0 || right > window.innerWidth) {
                    throw new Error(`The unit ends at ${right}.`);
                }
            },
        },
    ],
});

tours.add("key_account_plan_phone", {
    steps: () => [
        {
            trigger: `${step("plan")} button`,
            run: "click",
        },
        {
            content: "Whose visits were planned, not the own empty week",
            trigger: ".o_week_board button[aria-pressed=true]:contains('Team')",
        },
        {
            trigger: ".o_week_board:contains('Fresh Rep')",
        },
    ],
});

tours.add("key_account_no_accounts", {
    steps: () => [
        {
            content: "Not that all which is due is planned",
            trigger:
                ".o_view_nocontent:contains('No accounts here') button:contains('Start Now')",
            run: "click",
        },
        {
            trigger: `${step("plan")}[data-done='0']:contains('nobody to visit')`,
        },
        {
            content: "With the panel away the list says the same",
            trigger: ".o_key_account_start_close",
            run: "click",
        },
        {
            trigger:
                ".o_view_nocontent:contains('No accounts here'):not(:contains('<p'))",
        },
    ],
});

tours.add("key_account_empty_pivot", {
    steps: () => [
        {
            content: "The bundle of pivots may have to be made first",
            trigger:
                ".o_pivot_view .o_view_nocontent:contains('No customer has a tier yet')",
            timeout: 60000,
        },
        {
            trigger: ".o_switch_view.o_graph",
            run: "click",
        },
        {
            trigger:
                ".o_graph_view .o_view_nocontent:contains('No customer has a tier yet')",
        },
    ],
});
