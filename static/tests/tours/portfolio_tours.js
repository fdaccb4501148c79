import {registry} from "@web/core/registry";

const pyramid = ".o_portfolio_picture[data-name=pyramid]";

registry.category("web_tour.tours").add("key_account_portfolio", {
    steps: () => [
        {
            content: "All pictures are drawn",
            trigger: `.o_portfolio:has(${pyramid} canvas):has([data-name=effort] canvas)`,
        },
        {
            content: "The pyramid as a table",
            trigger: `${pyramid} .o_portfolio_toggle`,
            run: "click",
        },
        {
            content: "The key account makes 80 % of the revenue",
            trigger: `${pyramid} tr:contains('Key account'):contains('33.3 %'):contains('80 %')`,
        },
        {
            trigger: `${pyramid} button:contains('Key account')`,
            run: "click",
        },
        {
            content: "Its accounts",
            trigger:
                ".o_list_view .o_data_row:contains('First Customer'):contains('8,000')",
        },
        {
            content: "And nobody else",
            trigger: ".o_list_view:not(:contains('Second Customer'))",
        },
        {
            trigger: ".o_back_button, .breadcrumb-item:not(.active) a",
            run: "click",
        },
        {
            content: "The table is still a table; the fewest that make 80 %",
            trigger: `.o_portfolio:has(${pyramid} table) .o_portfolio_few:contains('1 of 3')`,
            run: "click",
        },
        {
            trigger:
                ".o_list_view:not(:contains('Second Customer')) .o_data_row:contains('First Customer')",
        },
        {
            trigger: ".o_back_button, .breadcrumb-item:not(.active) a",
            run: "click",
        },
        {
            content: "Of a period",
            trigger: ".o_portfolio_period",
            run: "select last_year",
        },
        {
            content: "Nothing was sold then",
            trigger: `${pyramid} tr:contains('Key account'):contains('33.3 %'):contains('–')`,
        },
        {
            content: "Of a salesperson",
            trigger: ".o_portfolio_period",
            run: "select window",
        },
        {
            trigger: ".o_portfolio_user",
            run: "selectByLabel ka_rep2",
        },
        {
            trigger: ".o_portfolio_figure:contains('Accounts'):contains('1')",
        },
        {
            content: "Who moved and why",
            trigger: ".o_portfolio_changes",
            run: "click",
        },
        {
            trigger: ".o_breadcrumb:contains('Tier Changes')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_portfolio_zero", {
    steps: () => [
        {
            trigger:
                ".o_portfolio_picture[data-name=risk] tr:contains('Open Complaints') button",
            run: "click",
        },
        {
            content: "A list without a row says so",
            trigger: ".o_view_nocontent:contains('No accounts here')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_portfolio_never_run", {
    steps: () => [
        {
            trigger: ".o_portfolio_empty:contains('never been tiered') button",
            run: "click",
        },
        {
            trigger: ".o_form_view button[name=action_preview]",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_portfolio_outside", {
    steps: () => [
        {
            trigger: ".o_portfolio_empty:contains('You need a right of the Sales app')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_portfolio_phone", {
    steps: () => [
        {
            content: "Own accounts alone",
            trigger: ".o_portfolio_figure:contains('Revenue'):contains('900')",
        },
        {
            content: "Nothing to the right of the screen",
            trigger: `.o_portfolio:has(${pyramid} canvas) .o_content`,
            run() {
                if (this.anchor.scrollWidth > this.anchor.clientWidth) {
                    throw new Error("The portfolio is wider than the screen");
                }
            },
        },
        {
            trigger: `${pyramid} .o_portfolio_toggle`,
            run: "click",
        },
        {
            trigger: `${pyramid} button:contains('Key account')`,
            run: "click",
        },
        {
            trigger:
                ".o_kanban_view:not(:contains('Other Customer')) .o_kanban_record:contains('Own Customer')",
        },
    ],
});
