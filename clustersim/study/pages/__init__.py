"""The common parts of HTML pages and reports: the template, the labels of measures, and the style of charts.

It must not know the study that a page shows. Start with `page_frame`.
"""
