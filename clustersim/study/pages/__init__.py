"""The frame of HTML pages: template, labels and the style of charts.

It must not know the study that a page shows. Start with `page_frame`.
"""
