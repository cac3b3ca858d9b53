"""What the panels of all dashboards have in common: variables, selectors, units, thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import stat, table, text, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

Query = tuple[str, str]  # an expression and the name of what it gives
Steps = Sequence[tuple[float | None, str]]  # colours from these values on

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
YES_NO: Steps = ((None, RED), (1, GREEN))
SCHEMA = 41
JOBS = "tsds-stream.*"  # the rules look for these names, too: see deploy/prometheus/prometheus.yml


def of(metric: str, *matchers: str) -> str:
    """A metric of the chosen processes."""
    chosen = ",".join(('job=~"$job"', 'instance=~"$instance"', *matchers))
    return f"{metric}{{{chosen}}}"


def of_sets(metric: str, *matchers: str) -> str:
    """A metric of the chosen target sets."""
    return of(metric, 'target_set=~"$target_set"', *matchers)


def of_drift(metric: str, *matchers: str) -> str:
    """A metric of the drift of the chosen target sets, and of the whole stream, which has an empty name there."""
    return of(metric, 'target_set=~"${target_set}|"', *matchers)


def rate(counter: str, *matchers: str) -> str:
    """Per second."""
    return f"rate({of(counter, *matchers)}[$__rate_interval])"


def numbered(metric: str, label: str, values: Sequence[str]) -> str:
    """Which of the values a metric that is 1 for one of them has: 1 for the first."""
    terms = (f"{k} * sum by (job, instance) ({of(metric, f'{label}={value!r}')})" for k, value in enumerate(values, 1))
    return " + ".join(terms).replace("'", '"')


def age(timestamp: str) -> str:
    """Seconds since a moment that has been."""
    return f"time() - ({timestamp} > 0)"


def series(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    line: float | None = None,
    span: int = 12,
    stacked: bool = False,
    minimum: float | None = 0,
    maximum: float | None = None,
    decimals: int | None = None,
) -> timeseries.Panel:
    """Curves over time. `line` is the alarm line, drawn where it is."""
    panel = timeseries.Panel().title(title).description(description).datasource(DATASOURCE).unit(unit)
    panel = panel.height(8).span(span).fill_opacity(30 if stacked else 8).line_width(1)
    panel = panel.show_points(common.VisibilityMode.NEVER).axis_soft_max(1.2 * line if line else 0)
    panel = panel.legend(build.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM))
    panel = panel.tooltip(build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    if minimum is not None:
        panel = panel.min(minimum)
    if maximum is not None:
        panel = panel.max(maximum)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if stacked:
        panel = panel.stacking(build.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if line is not None:
        style = build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_steps(((None, GREEN), (line, RED)))).thresholds_style(style)
    return _asks(panel, queries)


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "none",
    steps: Steps = ((None, BLUE),),
    words: dict[str, tuple[str, str]] | None = None,
    span: int = 4,
    height: int = 4,
    none: str = "no data",
    decimals: int | None = None,
    named: bool = False,
) -> stat.Panel:
    """A number for each process or set, coloured. `words` are shown in place of values, each in a colour."""
    panel = stat.Panel().title(title).description(description).datasource(DATASOURCE).unit(unit).no_value(none)
    panel = panel.height(height).span(span).thresholds(_steps(steps)).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND)
    panel = panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME if named else common.BigValueTextMode.AUTO)
    if words:
        shown = {value: dashboard.ValueMappingResult(text=said, color=c) for value, (said, c) in words.items()}
        panel = panel.mappings([dashboard.ValueMap(options=shown)])
    if decimals is not None:
        panel = panel.decimals(decimals)
    return _asks(panel, queries, instant=True)


def rows_of(title: str, description: str, *queries: Query, span: int = 12, unit: str = "none") -> table.Panel:
    """A table of what is the case now: one row per series, its labels as columns."""
    panel = table.Panel().title(title).description(description).datasource(DATASOURCE).height(8).span(span).unit(unit)
    hidden: dict[str, Any] = dict.fromkeys(("Time", "__name__", "alertstate", "owner"), True)
    panel = panel.with_transformation(
        dashboard.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})
    )
    panel = panel.no_value("none").align(common.FieldTextAlignment.AUTO).inspect(False)
    return _asks(panel, queries, instant=True, as_table=True)


def words(title: str, description: str, content: str, span: int = 24, height: int = 4) -> text.Panel:
    """Text."""
    panel = text.Panel().title(title).description(description).content(content).mode(text.text.TextMode.MARKDOWN)
    return panel.span(span).height(height)


def board(uid: str, title: str, description: str, since: str, tags: Iterable[str] = ()) -> boards.Dashboard:
    """An empty dashboard with what all have: variables, links to the others, marks for starts and alarms."""
    made = boards.Dashboard(title).uid(uid).description(description).tags(["tsds-stream", *tags]).editable()
    made = made.time(f"now-{since}", "now").refresh("30s").timezone("browser").tooltip(dashboard.DashboardCursorSync(1))
    made._internal.schema_version = SCHEMA
    others = boards.DashboardLink("tsds-stream").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["tsds-stream"])
    return made.link(others.include_vars(True).keep_time(True).as_dropdown(False))


def with_variables(made: boards.Dashboard, *, sets: bool) -> boards.Dashboard:
    """Data source, job, instance and, where it matters, target set."""
    source = boards.DatasourceVariable("datasource").label("Data source").type("prometheus")
    made = made.with_variable(source)
    made = made.with_variable(_values("job", "Job", f'label_values(up{{job=~"{JOBS}"}}, job)', JOBS))
    made = made.with_variable(_values("instance", "Instance", 'label_values(up{job=~"$job"}, instance)', ".+"))
    if sets:
        asked = 'label_values(tsds_stream_revision{job=~"$job",instance=~"$instance"}, target_set)'
        made = made.with_variable(_values("target_set", "Target set", asked, ".*"))
    made = made.annotation(_mark("Starts", f"changes({of('tsds_stream_start_timestamp_seconds')}[1m]) > 0", BLUE))
    alarms = 'ALERTS{alertname=~"TsdsStream.*",alertstate="firing",job=~"$job|",instance=~"$instance|"}'
    return made.annotation(_mark("Alerts", alarms, RED))


def _values(name: str, label: str, query: str, everything: str) -> boards.QueryVariable:
    variable = boards.QueryVariable(name).label(label).datasource(DATASOURCE)
    variable = variable.query({"query": query, "refId": f"variable-{name}", "qryType": 5})
    variable = variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True)
    chosen = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable.all_value(everything).sort(dashboard.VariableSort.ALPHABETICAL_ASC).current(chosen)


def _mark(name: str, expr: str, color: str) -> boards.AnnotationQuery:
    return boards.AnnotationQuery().name(name).datasource(DATASOURCE).expr(expr).enable(True).icon_color(color)


def _steps(steps: Steps) -> boards.ThresholdsConfig:
    made = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return boards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def _asks(panel: Any, queries: Iterable[Query], *, instant: bool = False, as_table: bool = False) -> Any:
    for letter, (expr, name) in zip("ABCDEFGH", queries, strict=False):
        query = Dataquery().expr(expr).legend_format(name).ref_id(letter).datasource(DATASOURCE)
        query = query.instant() if instant else query.range()
        if as_table:
            query = query.format("table")
        panel = panel.with_target(query)
    return panel


def fold(title: str, panels: Iterable[Builder[dashboard.Panel]]) -> boards.Row:
    """A collapsed row of internals."""
    row = boards.Row(title)
    for panel in panels:
        row = row.with_panel(panel)
    return row
